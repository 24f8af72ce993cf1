"""Which storage the settings choose, under which names they are read, and what is said where they are wrong."""

import sys
from pathlib import Path

import pytest

from qanat.server.config.environment import BadSettings, ServerSettings, load
from qanat.server.files.storage import key_of, link_of, storage_of
from qanat.storage.azure import AzureStorage
from qanat.storage.local import LocalStorage
from qanat.storage.s3 import S3Storage


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings of storage."""
    monkeypatch.setenv("QANAT_DATA_DIR", str(tmp_path))


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ServerSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load()


def test_files_lie_in_the_data_directory_by_default(tmp_path: Path) -> None:
    storage = storage_of(load())

    assert isinstance(storage, LocalStorage)
    assert storage.root == tmp_path / "media"


@pytest.mark.parametrize("name", ["QANAT_STORAGE_ROOT", "OASIS_MEDIA_ROOT", "OASIS_SERVER_MEDIA_ROOT"])
def test_a_directory_is_taken_by_our_name_and_by_theirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    storage = storage_of(given(monkeypatch, **{name: str(tmp_path / "shared"), "OASIS_STORAGE_TYPE": "shared-fs"}))

    assert isinstance(storage, LocalStorage)
    assert storage.root == tmp_path / "shared"


@pytest.mark.parametrize("kind", ["s3", "aws", "aws-s3"])
def test_a_bucket_is_taken_by_the_names_of_the_reference_platform(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    settings = given(
        monkeypatch,
        OASIS_SERVER_STORAGE_TYPE=kind,
        OASIS_AWS_BUCKET_NAME="losses",
        OASIS_AWS_LOCATION="/qanat/files/",
        QANAT_AWS_S3_REGION_NAME="eu-west-1",
        OASIS_AWS_ACCESS_KEY_ID="id",
        OASIS_AWS_SECRET_ACCESS_KEY="hush",
    )

    storage = storage_of(settings)

    assert isinstance(storage, S3Storage)
    assert (storage._options.bucket, storage._options.location) == ("losses", "qanat/files")
    assert storage._options.secret_access_key == "hush"


def test_a_container_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        QANAT_STORAGE_TYPE="azure",
        QANAT_AZURE_ACCOUNT_NAME="account",
        QANAT_AZURE_CONTAINER="losses",
        QANAT_AZURE_ACCOUNT_KEY="aHVzaA==",
    )

    storage = storage_of(settings)

    assert isinstance(storage, AzureStorage)
    assert (storage._options.account_name, storage._options.container) == ("account", "losses")


def test_our_name_goes_before_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        QANAT_STORAGE_TYPE="s3",
        OASIS_STORAGE_TYPE="azure",
        OASIS_SERVER_AWS_BUCKET_NAME="second",
        OASIS_AWS_BUCKET_NAME="third",
    )

    assert (settings.storage_kind, settings.aws_bucket_name) == ("s3", "second")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"QANAT_STORAGE_TYPE": "ftp"}, "QANAT_STORAGE_TYPE: Input should be 'local-fs', 'shared-fs', 's3'"),
        ({"QANAT_STORAGE_TYPE": "s3"}, r"settings\. storage of the type 's3' needs QANAT_AWS_BUCKET_NAME$"),
        (
            {"OASIS_STORAGE_TYPE": "azure"},
            "storage of the type 'azure' needs QANAT_AZURE_ACCOUNT_NAME and QANAT_AZURE_CONTAINER",
        ),
        (
            {"QANAT_STORAGE_TYPE": "s3", "QANAT_AWS_BUCKET_NAME": "losses", "QANAT_AWS_SECRET_ACCESS_KEY": "hush"},
            "QANAT_AWS_ACCESS_KEY_ID and QANAT_AWS_SECRET_ACCESS_KEY go together",
        ),
        (
            {"QANAT_STORAGE_TYPE": "s3", "QANAT_AWS_BUCKET_NAME": "losses", "QANAT_AWS_LOCATION": "../x"},
            r"the location '\.\./x' of the files may have",
        ),
    ],
)
def test_what_is_missing_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSettings, match=sentence):
        given(monkeypatch, **variables)


def test_a_secret_is_in_no_text_about_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        QANAT_STORAGE_TYPE="s3",
        QANAT_AWS_BUCKET_NAME="losses",
        QANAT_AWS_ACCESS_KEY_ID="id",
        QANAT_AWS_SECRET_ACCESS_KEY="hush-hush",
        QANAT_AZURE_ACCOUNT_KEY="hush-hush",
        QANAT_AZURE_SAS_TOKEN="hush-hush",
    )

    storage = storage_of(settings)

    assert isinstance(storage, S3Storage)
    assert "hush-hush" not in f"{settings!r} {settings} {storage._options!r}"


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, QANAT_STORAGE_TYPE="s3", QANAT_AWS_BUCKET_NAME="losses")
    monkeypatch.setitem(sys.modules, "qanat.storage.s3", None)

    with pytest.raises(BadSettings, match=r"pip install 'qanat\[s3\]'"):
        storage_of(settings)


def test_a_storage_link_is_the_name_of_the_object_and_leads_back_to_the_key(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    configured = given(
        monkeypatch, QANAT_STORAGE_TYPE="s3", QANAT_AWS_BUCKET_NAME="losses", QANAT_AWS_LOCATION="qanat/files"
    )
    monkeypatch.setattr(settings, "QANAT", configured)

    assert link_of("ab12.csv") == "qanat/files/ab12.csv"
    assert key_of(link_of("ab12.csv")) == key_of("ab12.csv") == "ab12.csv"
