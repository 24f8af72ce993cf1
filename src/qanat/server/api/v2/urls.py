"""V2's endpoints: each shared one bound to V2's forms, and V2's own."""

from django.urls import path

from qanat.contract.statuses import RunKind
from qanat.domain.analysis_status import Event
from qanat.server.analyses.models import Analysis
from qanat.server.api.common import analyses, data_files, filters, models, options, portfolios, setting_templates
from qanat.server.api.common.documents import OptionsView
from qanat.server.api.common.files import routes
from qanat.server.api.v2 import archives, events, forms, queues, sub_tasks


class V2:
    """What makes an endpoint one of V2."""

    version = "v2"


class PortfolioList(V2, portfolios.PortfolioList):
    """Portfolios."""

    list_form = forms.PortfolioItem
    detail_form = forms.Portfolio


class PortfolioDetail(V2, portfolios.PortfolioDetail):
    """A portfolio."""

    detail_form = forms.Portfolio


class PortfolioStorage(V2, portfolios.PortfolioStorage):
    """Where a portfolio's files lie."""


class Validate(V2, portfolios.Validate):
    """Which of a portfolio's files are valid."""


class ExposureRun(V2, portfolios.ExposureRun):
    """Losses from loss factors and a portfolio's own terms."""


class ExposureTransform(V2, portfolios.ExposureTransform):
    """A portfolio's file made from another format."""


class ReportingCurrency(V2, portfolios.ReportingCurrency):
    """A portfolio's currency."""


class CreateAnalysis(V2, portfolios.CreateAnalysis):
    """A portfolio's new analysis."""

    analysis_form = forms.Analysis


class ModelList(V2, models.ModelList):
    """Models."""

    list_form = forms.Model
    detail_form = forms.Model


class ModelDetail(V2, models.ModelDetail):
    """A model."""

    detail_form = forms.Model


class ModelSettings(V2, models.ModelSettings):
    """A model's settings."""


class ModelVersions(V2, models.ModelVersions):
    """A model's versions."""

    names = ("ver_ktools", "ver_oasislmf", "ver_platform", "ver_ods", "ver_oed")


class ModelStorage(V2, models.ModelStorage):
    """Where a model's settings lie."""


class ModelDataFiles(V2, models.ModelDataFiles):
    """A model's data files."""

    data_file_form = forms.DataFile


class ModelChunking(V2, models.Models, OptionsView):
    """A model's chunking configuration."""

    field = "chunking"
    form = options.ChunkingForm
    defaults = options.CHUNKING_DEFAULTS


class ModelScaling(V2, models.Models, OptionsView):
    """A model's scaling configuration."""

    field = "scaling"
    form = options.ScalingForm
    defaults = options.SCALING_DEFAULTS


class DataFileList(V2, data_files.DataFileList):
    """Data files."""

    list_form = forms.DataFile
    detail_form = forms.DataFile


class DataFileDetail(V2, data_files.DataFileDetail):
    """A data file."""

    detail_form = forms.DataFile


class AnalysisList(V2, analyses.AnalysisList):
    """Analyses."""

    filters = filters.filter_set(Analysis, filters.ANALYSES_V2)
    list_form = forms.Analysis
    detail_form = forms.Analysis


class AnalysisDetail(V2, analyses.AnalysisDetail):
    """An analysis."""

    detail_form = forms.AnalysisInDetail


class AnalysisSettings(V2, analyses.AnalysisSettings):
    """An analysis' settings."""


class AnalysisStorage(V2, analyses.AnalysisStorage):
    """Where an analysis' files lie."""


class AnalysisDataFiles(V2, analyses.AnalysisDataFiles):
    """An analysis' data files."""

    data_file_form = forms.DataFile


class AnalysisChunking(V2, analyses.Analyses, OptionsView):
    """An analysis' own chunking configuration."""

    field = "chunking"
    form = options.ChunkingForm
    defaults = options.CHUNKING_DEFAULTS


class RunProgress(V2, analyses.RunProgress):
    """How many events are done."""


class Start(V2, analyses.Start):
    """Queue inputs, losses or both."""

    detail_form = forms.Analysis


class Cancel(V2, analyses.Cancel):
    """Cancel."""

    detail_form = forms.Analysis


class Combine(V2, analyses.Combine):
    """Combine the losses of analyses."""

    detail_form = forms.Analysis


class Copy(V2, analyses.Copy):
    """Copy."""

    detail_form = forms.Analysis


def _archives(field: str) -> list[object]:
    return [
        path(f"analyses/<int:pk>/{field}_tar_list/", archives.TarList.as_view(field=field)),
        path(f"analyses/<int:pk>/{field}_tar_extract/", archives.TarExtract.as_view(field=field)),
    ]


urlpatterns = [
    path("portfolios/", PortfolioList.as_view()),
    path("portfolios/<int:pk>/", PortfolioDetail.as_view()),
    path("portfolios/<int:pk>/storage_links/", PortfolioStorage.as_view()),
    path("portfolios/<int:pk>/validate/", Validate.as_view()),
    path("portfolios/<int:pk>/exposure_run/", ExposureRun.as_view()),
    path("portfolios/<int:pk>/exposure_transform/", ExposureTransform.as_view()),
    path("portfolios/<int:pk>/reporting_currency/", ReportingCurrency.as_view()),
    path("portfolios/<int:pk>/create_analysis/", CreateAnalysis.as_view()),
    *routes("portfolios", PortfolioDetail, [*portfolios.ENDPOINTS, portfolios.ERRORS]),
    path("models/", ModelList.as_view()),
    path("models/<int:pk>/", ModelDetail.as_view()),
    path("models/<int:pk>/settings/", ModelSettings.as_view()),
    path("models/<int:pk>/versions/", ModelVersions.as_view()),
    path("models/<int:pk>/storage_links/", ModelStorage.as_view()),
    path("models/<int:pk>/data_files/", ModelDataFiles.as_view()),
    path("models/<int:pk>/chunking_configuration/", ModelChunking.as_view()),
    path("models/<int:pk>/scaling_configuration/", ModelScaling.as_view()),
    *setting_templates.routes(ModelDetail),
    path("data_files/", DataFileList.as_view()),
    path("data_files/<int:pk>/", DataFileDetail.as_view()),
    *routes("data_files", DataFileDetail, data_files.ENDPOINTS),
    path("analyses/", AnalysisList.as_view()),
    path("analyses/combine/", Combine.as_view()),
    path("analyses/<int:pk>/", AnalysisDetail.as_view()),
    path("analyses/<int:pk>/settings/", AnalysisSettings.as_view()),
    path("analyses/<int:pk>/storage_links/", AnalysisStorage.as_view()),
    path("analyses/<int:pk>/data_files/", AnalysisDataFiles.as_view()),
    path("analyses/<int:pk>/run_progress/", RunProgress.as_view()),
    path("analyses/<int:pk>/chunking_configuration/", AnalysisChunking.as_view()),
    path("analyses/<int:pk>/sub_task_list/", sub_tasks.SubTaskList.as_view()),
    path("analyses/<int:pk>/generate_inputs/", Start.as_view(kind=RunKind.INPUTS)),
    path("analyses/<int:pk>/run/", Start.as_view(kind=RunKind.LOSSES)),
    path("analyses/<int:pk>/generate_and_run/", Start.as_view(kind=RunKind.BOTH)),
    path("analyses/<int:pk>/cancel/", Cancel.as_view()),
    path("analyses/<int:pk>/cancel_generate_inputs/", Cancel.as_view(event=Event.INPUTS_CANCELLED)),
    path("analyses/<int:pk>/cancel_analysis_run/", Cancel.as_view(event=Event.LOSSES_CANCELLED)),
    path("analyses/<int:pk>/copy/", Copy.as_view()),
    *_archives("input_file"),
    *_archives("output_file"),
    *routes("analyses", AnalysisDetail, analyses.ENDPOINTS),
    path("queue/", queues.Queues.as_view()),
    path("queue-status/", queues.QueueStatus.as_view()),
    path("events/", events.Events.as_view()),
    path("analysis-task-statuses/", sub_tasks.SubTasks.as_view()),
    path("analysis-task-statuses/<int:pk>/", sub_tasks.SubTask.as_view()),
    *(
        path(f"analysis-task-statuses/<int:pk>/{log}/", sub_tasks.SubTaskLog.as_view(log=log))
        for log in ("output_log", "error_log", "retry_log")
    ),
]
