"""The table of the models."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.contrib.auth.models import Group
from django.db import models

from qanat.contract.queues import model_queue
from qanat.contract.statuses import RunMode
from qanat.domain.chunking import ChunkingOptions
from qanat.domain.scaling import ScalingOptions
from qanat.server.data_files.models import DataFile
from qanat.server.files.owned import Owned, file_field

Json = dict[str, Any]


def default_chunking() -> Json:
    """Return the chunking configuration of a new model."""
    return asdict(ChunkingOptions())


def default_scaling() -> Json:
    """Return the scaling configuration of a new model."""
    return asdict(ScalingOptions())


class RiskModel(Owned):
    """A catastrophe model that some worker runs, known by supplier, model and version."""

    supplier_id = models.CharField(max_length=255)
    model_id = models.CharField(max_length=255)
    version_id = models.CharField(max_length=255)
    run_mode = models.CharField(max_length=2, null=True, choices=[(m.value, m.value) for m in RunMode])  # noqa: DJ001 - clients see null
    settings_file = file_field()
    data_files: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(DataFile, related_name="risk_models")
    groups: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(Group, related_name="+")
    ver_ktools = models.CharField(max_length=255, null=True)  # noqa: DJ001 - clients see null
    ver_oasislmf = models.CharField(max_length=255, null=True)  # noqa: DJ001
    ver_platform = models.CharField(max_length=255, null=True)  # noqa: DJ001
    ver_ods = models.CharField(max_length=255, null=True)  # noqa: DJ001
    ver_oed = models.CharField(max_length=255, null=True)  # noqa: DJ001
    oasislmf_config: "models.JSONField[Json, Json]" = models.JSONField(default=dict)
    chunking: "models.JSONField[Json, Json]" = models.JSONField(default=default_chunking)
    scaling: "models.JSONField[Json, Json]" = models.JSONField(default=default_scaling)
    deleted = models.BooleanField(default=False)
    """Hidden, until it is created or registered again: analyses keep pointing at it."""
    awaits_approval = models.BooleanField(default=False)
    """Hidden, until an operator has looked at whoever registered it."""

    class Meta:
        """A model stands once."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["supplier_id", "model_id", "version_id"], name="model_identity")
        ]

    def __str__(self) -> str:
        """Name the model."""
        return f"{self.supplier_id}/{self.model_id}/{self.version_id}"

    def queue(self, run_mode: RunMode) -> str:
        """Return the queue on which its workers take work of ``run_mode``."""
        return model_queue(
            supplier_id=self.supplier_id, model_id=self.model_id, version_id=self.version_id, run_mode=run_mode
        )

    def versions(self) -> dict[str, str | None]:
        """Return the versions of the worker's software, as clients see them in V2."""
        return {
            "ver_ktools": self.ver_ktools,
            "ver_oasislmf": self.ver_oasislmf,
            "ver_platform": self.ver_platform,
            "ver_ods": self.ver_ods,
            "ver_oed": self.ver_oed,
        }


class SettingTemplate(Owned):
    """Analysis settings that suit a model, kept for those who will run it."""

    model = models.ForeignKey(RiskModel, on_delete=models.CASCADE, related_name="setting_templates")
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=255, blank=True)
    file = file_field()

    def __str__(self) -> str:
        """Name the template."""
        return self.name
