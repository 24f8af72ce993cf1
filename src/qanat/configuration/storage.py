"""Where files lie."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import SecretStr, model_validator

from qanat.configuration.base import Settings
from qanat.configuration.names import Key, OfServer
from qanat.configuration.values import AnyCase
from qanat.storage.port import KEY

S3_TYPES: Final = frozenset({"s3", "aws", "aws-s3"})
KINDS: Final = {"storage": "local", "aws": "s3", "azure": "azure"}
"""Kinds of storage by the beginning of the names of their settings."""


class StorageSettings(Settings):
    """Where files lie."""

    storage_type: OfServer[AnyCase[Literal["local-fs", "shared-fs", "s3", "aws", "aws-s3", "azure"]]] = "local-fs"
    """``local-fs`` and ``shared-fs``: a directory; ``s3``, ``aws`` and ``aws-s3``: a bucket; ``azure``: a container."""
    storage_root: Annotated[Path | None, Key("server", "MEDIA_ROOT")] = None
    """Directory of the local storage; empty: ``media`` in the data directory."""
    aws_bucket_name: OfServer[str] = ""
    """The bucket, which must be there."""
    aws_location: OfServer[str] = ""
    """Beginning of the names of all objects."""
    aws_access_key_id: OfServer[str] = ""
    """The key's id; without it what boto3 finds by itself, such as the role of the machine."""
    aws_secret_access_key: OfServer[SecretStr] = SecretStr("")
    """The key; it goes with its id."""
    aws_s3_endpoint_url: OfServer[str] = ""
    """The server of the bucket, where it is not Amazon's."""
    aws_s3_region_name: OfServer[str] = ""
    """The bucket's region."""
    aws_default_acl: OfServer[str] = ""
    """Access list of new objects, where the bucket wants one."""
    aws_shared_bucket: OfServer[bool] = False
    """Told to clients in ``server_info``; workers get their files through the API either way."""
    aws_querystring_auth: OfServer[bool] = False
    """Likewise; nobody is given signed links."""
    aws_querystring_expire: OfServer[int] = 604_800
    """Likewise, in seconds."""
    azure_account_name: OfServer[str] = ""
    """The account."""
    azure_account_key: OfServer[SecretStr] = SecretStr("")
    """The key; without it, and without a SAS token, the identity of the machine or of the environment."""
    azure_sas_token: OfServer[SecretStr] = SecretStr("")
    """A shared access signature, in place of the key."""
    azure_container: OfServer[str] = ""
    """The container, which must be there."""
    azure_location: OfServer[str] = ""
    """Beginning of the names of all blobs."""
    azure_endpoint_url: OfServer[str] = ""
    """The server of the container, where it is not ``https://ACCOUNT.blob.core.windows.net``."""

    @property
    def storage_kind(self) -> Literal["local", "s3", "azure"]:
        """What the type comes down to."""
        if self.storage_type == "azure":
            return "azure"
        return "s3" if self.storage_type in S3_TYPES else "local"

    @property
    def storage_location(self) -> str:
        """What stands before each key in the names of objects, without slashes at its ends."""
        return {"local": "", "s3": self.aws_location, "azure": self.azure_location}[self.storage_kind].strip("/")

    def idle(self) -> dict[str, str]:
        """Return what belongs to other kinds of storage."""
        reason = f"files lie in storage of the type '{self.storage_type}'"
        fields = [
            name for name in StorageSettings.model_fields if KINDS.get(name.partition("_")[0], "") != self.storage_kind
        ]
        return {**super().idle(), **{name: reason for name in fields if name != "storage_type"}}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"local": (), "s3": ("aws_bucket_name",), "azure": ("azure_account_name", "azure_container")}
        if missing := [f"QANAT_{name.upper()}" for name in needed[self.storage_kind] if not getattr(self, name)]:
            message = f"storage of the type '{self.storage_type}' needs {' and '.join(missing)}"
            raise ValueError(message)
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key.get_secret_value()):
            message = "QANAT_AWS_ACCESS_KEY_ID and QANAT_AWS_SECRET_ACCESS_KEY go together: give both or neither"
            raise ValueError(message)
        if self.storage_location and not KEY.fullmatch(self.storage_location):
            message = (
                f"the location '{self.storage_location}' of the files may have letters, digits and _ . + @ = - only, "
                "and slashes between them"
            )
            raise ValueError(message)
        return self
