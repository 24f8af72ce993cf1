"""The configured storage."""

from functools import cache

from django.conf import settings

from qanat.server.config.environment import BadSettings, ServerSettings
from qanat.storage.local import LocalStorage
from qanat.storage.port import Storage


@cache
def storage() -> Storage:
    """Return the storage of this installation.

    Raises:
        BadSettings: the library for the configured storage is not installed.
    """
    return storage_of(settings.QANAT)


def storage_of(configured: ServerSettings) -> Storage:
    """Return the storage that the settings describe.

    Raises:
        BadSettings: the library for it is not installed.
    """
    kind = configured.storage_kind
    if kind == "local":
        return LocalStorage(configured.media_root)
    try:
        return _s3(configured) if kind == "s3" else _azure(configured)
    except ImportError as error:
        message = f"Storage of the type '{configured.storage_type}' needs more: pip install 'qanat[{kind}]' ({error})."
        raise BadSettings(message) from error


def link_of(key: str) -> str:
    """Return what ``storage_links`` shows of a key: the object's name in the bucket or container."""
    location = settings.QANAT.storage_location
    return f"{location}/{key}" if location else key


def key_of(link: str) -> str:
    """Return the key that a storage link, or a key itself, stands for."""
    location = settings.QANAT.storage_location
    return link.removeprefix(f"{location}/") if location else link


def _s3(configured: ServerSettings) -> Storage:
    from qanat.storage.s3 import S3Options, S3Storage  # noqa: PLC0415 - an extra, and slow to import

    return S3Storage(
        S3Options(
            bucket=configured.aws_bucket_name,
            location=configured.storage_location,
            endpoint_url=configured.aws_s3_endpoint_url or None,
            region=configured.aws_s3_region_name or None,
            access_key_id=configured.aws_access_key_id or None,
            secret_access_key=configured.aws_secret_access_key.get_secret_value() or None,
            acl=configured.aws_default_acl or None,
        )
    )


def _azure(configured: ServerSettings) -> Storage:
    from qanat.storage.azure import AzureOptions, AzureStorage  # noqa: PLC0415 - an extra, and slow to import

    return AzureStorage(
        AzureOptions(
            account_name=configured.azure_account_name,
            container=configured.azure_container,
            location=configured.storage_location,
            account_key=configured.azure_account_key.get_secret_value() or None,
            sas_token=configured.azure_sas_token.get_secret_value() or None,
            endpoint_url=configured.azure_endpoint_url or None,
        )
    )
