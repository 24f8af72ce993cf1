"""V1's endpoints: each shared one bound to V1's forms. ``wc -l`` of this folder is the price of V1."""

from typing import Any

from django.db.models import QuerySet
from django.urls import path

from qanat.contract.statuses import RunKind
from qanat.domain.analysis_status import Event
from qanat.server.analyses.models import Analysis
from qanat.server.api.common import analyses, data_files, filters, models, portfolios, setting_templates
from qanat.server.api.common.files import routes
from qanat.server.api.v1 import forms


class V1:
    """What makes an endpoint one of V1."""

    version = "v1"


class PortfolioList(V1, portfolios.PortfolioList):
    """Portfolios."""

    list_form = forms.PortfolioItem
    detail_form = forms.Portfolio


class PortfolioDetail(V1, portfolios.PortfolioDetail):
    """A portfolio."""

    detail_form = forms.Portfolio


class PortfolioStorage(V1, portfolios.PortfolioStorage):
    """Where a portfolio's files lie."""


class Validate(V1, portfolios.Validate):
    """Which of a portfolio's files are valid."""


class ReportingCurrency(V1, portfolios.ReportingCurrency):
    """A portfolio's currency."""


class CreateAnalysis(V1, portfolios.CreateAnalysis):
    """A portfolio's new analysis: run as V1 whatever the model's mode."""

    analysis_form = forms.Analysis


class V1Models(V1, models.Models):
    """V1 does not know models of run mode V2."""

    def all_rows(self) -> QuerySet[Any]:
        """Leave out the models that V1 cannot run."""
        return super().all_rows().exclude(run_mode="V2")


class ModelList(V1Models, models.ModelList):
    """Models, but for those of run mode V2."""

    list_form = forms.Model
    detail_form = forms.Model


class ModelDetail(V1Models, models.ModelDetail):
    """A model."""

    detail_form = forms.Model


class ModelSettings(V1Models, models.ModelSettings):
    """A model's settings."""


class ModelVersions(V1Models, models.ModelVersions):
    """A model's versions."""

    names = ("ver_ktools", "ver_oasislmf", "ver_platform")


class ModelStorage(V1Models, models.ModelStorage):
    """Where a model's settings lie."""


class ModelDataFiles(V1Models, models.ModelDataFiles):
    """A model's data files."""

    data_file_form = forms.DataFile


class DataFileList(V1, data_files.DataFileList):
    """Data files."""

    list_form = forms.DataFile
    detail_form = forms.DataFile


class DataFileDetail(V1, data_files.DataFileDetail):
    """A data file."""

    detail_form = forms.DataFile


class AnalysisList(V1, analyses.AnalysisList):
    """Analyses, those of V2 too."""

    filters = filters.filter_set(Analysis, filters.ANALYSES_V1)
    list_form = forms.AnalysisItem
    detail_form = forms.Analysis


class AnalysisDetail(V1, analyses.AnalysisDetail):
    """An analysis."""

    detail_form = forms.Analysis


class AnalysisSettings(V1, analyses.AnalysisSettings):
    """An analysis' settings."""


class AnalysisStorage(V1, analyses.AnalysisStorage):
    """Where an analysis' files lie."""


class AnalysisDataFiles(V1, analyses.AnalysisDataFiles):
    """An analysis' data files."""

    data_file_form = forms.DataFile


class RunProgress(V1, analyses.RunProgress):
    """How many events are done."""


class Start(V1, analyses.Start):
    """Queue inputs or losses."""

    detail_form = forms.Analysis


class Cancel(V1, analyses.Cancel):
    """Cancel."""

    detail_form = forms.Analysis


class Copy(V1, analyses.Copy):
    """Copy."""

    detail_form = forms.Analysis


urlpatterns = [
    path("portfolios/", PortfolioList.as_view()),
    path("portfolios/<int:pk>/", PortfolioDetail.as_view()),
    path("portfolios/<int:pk>/storage_links/", PortfolioStorage.as_view()),
    path("portfolios/<int:pk>/validate/", Validate.as_view()),
    path("portfolios/<int:pk>/reporting_currency/", ReportingCurrency.as_view()),
    path("portfolios/<int:pk>/create_analysis/", CreateAnalysis.as_view()),
    *routes("portfolios", PortfolioDetail, portfolios.ENDPOINTS),
    path("models/", ModelList.as_view()),
    path("models/<int:pk>/", ModelDetail.as_view()),
    path("models/<int:pk>/settings/", ModelSettings.as_view()),
    path("models/<int:pk>/versions/", ModelVersions.as_view()),
    path("models/<int:pk>/storage_links/", ModelStorage.as_view()),
    path("models/<int:pk>/data_files/", ModelDataFiles.as_view()),
    *setting_templates.routes(ModelDetail),
    path("data_files/", DataFileList.as_view()),
    path("data_files/<int:pk>/", DataFileDetail.as_view()),
    *routes("data_files", DataFileDetail, data_files.ENDPOINTS),
    path("analyses/", AnalysisList.as_view()),
    path("analyses/<int:pk>/", AnalysisDetail.as_view()),
    path("analyses/<int:pk>/settings/", AnalysisSettings.as_view()),
    path("analyses/<int:pk>/storage_links/", AnalysisStorage.as_view()),
    path("analyses/<int:pk>/data_files/", AnalysisDataFiles.as_view()),
    path("analyses/<int:pk>/run_progress/", RunProgress.as_view()),
    path("analyses/<int:pk>/generate_inputs/", Start.as_view(kind=RunKind.INPUTS)),
    path("analyses/<int:pk>/run/", Start.as_view(kind=RunKind.LOSSES)),
    path("analyses/<int:pk>/cancel/", Cancel.as_view()),
    path("analyses/<int:pk>/cancel_generate_inputs/", Cancel.as_view(event=Event.INPUTS_CANCELLED)),
    path("analyses/<int:pk>/cancel_analysis_run/", Cancel.as_view(event=Event.LOSSES_CANCELLED)),
    path("analyses/<int:pk>/copy/", Copy.as_view()),
    *routes("analyses", AnalysisDetail, analyses.ENDPOINTS),
]
