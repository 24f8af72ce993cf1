"""The bodies that workers send, checked; the shapes are those of ``contract.worker_protocol``."""

from typing import Any

from rest_framework import serializers

from qanat.contract import along
from qanat.contract.statuses import FailureClass
from qanat.server.runs.projection import FileRef

Fields = serializers.Serializer[Any]


class HelloFields(Fields):
    """A worker's sign of life."""

    worker = serializers.CharField(max_length=255)
    queues = serializers.ListField(child=serializers.CharField(max_length=255))
    slots = serializers.IntegerField(min_value=0)
    draining = serializers.BooleanField()
    versions = serializers.DictField(child=serializers.CharField(allow_blank=True))


class ClaimFields(Fields):
    """The wish to run a step."""

    fence = serializers.IntegerField(min_value=1)
    worker = serializers.CharField(max_length=255)


class ResourcesFields(Fields):
    """What an attempt has used, and how far it is."""

    peak_memory_bytes = serializers.IntegerField(min_value=0)
    cpu_seconds = serializers.FloatField(min_value=0)
    run_seconds = serializers.FloatField(min_value=0, required=False)
    disk_bytes = serializers.IntegerField(min_value=0, required=False)
    events_done = serializers.IntegerField(min_value=0, required=False)
    events_total = serializers.IntegerField(min_value=0, required=False)


class HeartbeatFields(Fields):
    """A running step's sign of life."""

    resources = ResourcesFields(allow_null=True, required=False)
    events_done = serializers.IntegerField(min_value=0, required=False)
    events_total = serializers.IntegerField(min_value=0, required=False)


class OutputFields(Fields):
    """A file that the attempt has stored."""

    label = serializers.CharField(max_length=255)  # type: ignore[assignment] # the wire has a field of this name
    key = serializers.CharField(max_length=255)
    filename = serializers.CharField(max_length=255)
    content_type = serializers.CharField(max_length=255)
    size = serializers.IntegerField(min_value=0)


class Content(serializers.Field[bytes, str, str, Any]):
    """A small file's bytes, in base64."""

    def to_internal_value(self, data: str) -> bytes:
        """Return the bytes.

        Raises:
            ValidationError: it is no base64, or of no small file.
        """
        try:
            content = along.unpacked(data)
        except (TypeError, ValueError) as error:
            message = f"This is no base64: {error}."
            raise serializers.ValidationError(message) from error
        if len(content) > along.SMALL_BYTES:
            message = f"These are {len(content):,} bytes; what is larger than {along.SMALL_BYTES:,} is stored before."
            raise serializers.ValidationError(message)
        return content


class SmallOutputFields(Fields):
    """A small file that the attempt brings along."""

    label = serializers.CharField(max_length=255)  # type: ignore[assignment] # the wire has a field of this name
    filename = serializers.CharField(max_length=255)
    content = Content()


class LogFields(Fields):
    """The end of the attempt's log."""

    offset = serializers.IntegerField(min_value=0)
    content = Content()


class Printed(serializers.CharField):
    """What a model has printed, whatever it is: no byte in it keeps a failure from being reported."""

    def to_internal_value(self, data: str) -> str:
        """Put a mark in place of NULs, which PostgreSQL does not take in a text."""
        return super().to_internal_value(data).replace("\0", "\ufffd")


class LastWordFields(Fields):
    """What both ends of an attempt have in common."""

    outputs = OutputFields(many=True)
    small_outputs = SmallOutputFields(many=True, required=False, default=())
    log = LogFields(required=False)
    resources = ResourcesFields(allow_null=True, required=False)


class CommitFields(LastWordFields):
    """A step's success."""

    result = serializers.DictField()


class FailureFields(LastWordFields):
    """An attempt's failure."""

    failure_class = serializers.ChoiceField(choices=[member.value for member in FailureClass])
    message = Printed(allow_blank=True, trim_whitespace=False)
    traceback = Printed(allow_blank=True, trim_whitespace=False)
    exit_code = serializers.IntegerField(allow_null=True)
    signal = serializers.IntegerField(allow_null=True)
    no_keys = serializers.BooleanField(required=False, default=False)


def checked(fields: type[Fields], data: object) -> dict[str, Any]:
    """Return the checked body.

    Raises:
        ValidationError: with the field and a sentence.
    """
    body = fields(data=data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def file_refs(outputs: list[dict[str, Any]], *, prefix: str) -> dict[str, FileRef]:
    """Return the stored outputs by label; only objects that this attempt stored itself may be named.

    Raises:
        ValidationError: an output lies elsewhere.
    """
    for output in outputs:
        if not output["key"].startswith(f"{prefix}/"):
            message = f"'{output['key']}' was not stored by this attempt."
            raise serializers.ValidationError({"outputs": [message]})
    return {output["label"]: FileRef.from_json(output) for output in outputs}
