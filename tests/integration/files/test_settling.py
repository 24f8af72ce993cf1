"""What nothing needs is removed from storage a day later, however its writer or remover ended; and nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest

from qanat.contract.statuses import RunKind
from qanat.server.files import settling
from qanat.server.files.models import ArchiveIndex, StoredFile, Unsettled
from qanat.server.files.operations import delete_file, store_upload
from qanat.server.files.owned import Owned
from qanat.server.files.storage import storage
from qanat.server.runs import clock
from qanat.server.runs.housekeeping import tidy
from qanat.server.runs.models import Run, portfolio
from qanat.storage.port import StorageUnavailable
from tests.factories import make_file, make_portfolio, make_settings_file

pytestmark = pytest.mark.django_db
Captured = Callable[..., AbstractContextManager[object]]
LATER = timedelta(days=1, seconds=1)


class Upload:
    """Something that a client sends."""

    name: str | None = "location.csv"
    content_type: str | None = "text/csv"

    def chunks(self) -> list[bytes]:
        return [b"LocNumber\n1\n"]


class KilledInBetween(BaseException):
    """In place of a signal."""


def tomorrow() -> datetime:
    return clock.now() + LATER


def test_a_file_that_some_row_has_stays(django_capture_on_commit_callbacks: Captured) -> None:
    row = make_portfolio()
    file = row.location_file
    ArchiveIndex.objects.create(file=file, members={}, sections=[])

    with django_capture_on_commit_callbacks(execute=True):
        tidy(now=tomorrow())

    assert storage().exists(file.key)
    assert StoredFile.objects.filter(pk=file.pk).exists()
    assert not Unsettled.objects.exists()


def test_every_table_that_has_files_is_asked() -> None:
    asked = {table for table, _ in settling._owners()}

    assert {
        table for table in Owned.__subclasses__() if any(f.related_model is StoredFile for f in table._meta.fields)
    } <= asked
    assert not asked & set(settling.DEPENDENTS)


def test_a_file_that_no_row_got_goes_after_a_day(django_capture_on_commit_callbacks: Captured) -> None:
    file = store_upload(upload=Upload(), creator=None, groups=[], allowed_types=())

    with django_capture_on_commit_callbacks(execute=True):
        tidy(now=clock.now() + timedelta(hours=23))
    assert storage().exists(file.key)

    with django_capture_on_commit_callbacks(execute=True):
        tidy(now=tomorrow())

    assert not storage().exists(file.key)
    assert not StoredFile.objects.exists()
    assert not Unsettled.objects.exists()


def test_what_was_written_without_a_row_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KilledInBetween

    monkeypatch.setattr("qanat.server.files.operations._row", killed)
    monkeypatch.setattr(type(storage()), "delete", lambda *_: None)
    with pytest.raises(KilledInBetween):
        store_upload(upload=Upload(), creator=None, groups=[], allowed_types=())
    monkeypatch.undo()
    key = Unsettled.objects.get().key
    assert storage().exists(key)

    tidy(now=tomorrow())

    assert not storage().exists(key)
    assert not Unsettled.objects.exists()


def test_what_was_to_be_deleted_goes_though_its_remover_was_killed(
    django_capture_on_commit_callbacks: Captured,
) -> None:
    file = make_settings_file()
    Unsettled.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=False):  # killed after the commit
        delete_file(file)
    assert storage().exists(file.key)

    tidy(now=tomorrow())

    assert not storage().exists(file.key)


def test_deleting_a_file_leaves_no_note(django_capture_on_commit_callbacks: Captured) -> None:
    file = make_settings_file()

    with django_capture_on_commit_callbacks(execute=True):
        delete_file(file)

    assert not storage().exists(file.key)
    assert not Unsettled.objects.exists()


def test_what_was_given_to_a_run_that_is_under_way_stays() -> None:
    file = make_file()
    Run.objects.create(
        **portfolio(1).columns(),
        kind=RunKind.TRANSFORM,
        mode="V1",
        queue="q",
        inputs={"transform_file": {"key": file.key}},
        created=clock.now(),
    )

    tidy(now=tomorrow())

    assert storage().exists(file.key)


def test_what_others_keep_in_the_same_place_is_none_of_our_business() -> None:
    storage().write("0123456789abcdef0123456789abcdef.csv", [b"x"])
    storage().write("theirs/a.csv", [b"x"])

    tidy(now=tomorrow())

    assert storage().exists("0123456789abcdef0123456789abcdef.csv")
    assert storage().exists("theirs/a.csv")


def test_a_storage_that_is_away_is_asked_again_at_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [make_file().key for _ in range(2)]
    StoredFile.objects.all().delete()

    def away(*_: object) -> None:
        message = "it does not answer"
        raise StorageUnavailable(message)

    monkeypatch.setattr(type(storage()), "delete", away)
    tidy(now=tomorrow())
    monkeypatch.undo()
    assert Unsettled.objects.count() == 2

    tidy(now=tomorrow())

    assert not any(map(storage().exists, keys))


def test_a_tick_looks_at_so_many_and_leaves_the_rest_to_the_next(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    monkeypatch.setattr(settling, "AT_ONCE", 3)
    for _ in range(5):
        make_portfolio()
    assert Unsettled.objects.count() == 5

    with django_assert_max_num_queries(45):  # one for each column that refers to files
        tidy(now=tomorrow())

    assert Unsettled.objects.count() == 2


KILLED = """
import os, signal, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from qanat.server.files import operations

class Upload:
    name, content_type = "location.csv", "text/csv"
    def chunks(self):
        yield b"LocNumber"

operations._row = lambda **_: os.kill(os.getpid(), signal.SIGKILL)
operations.store_upload(upload=Upload(), creator=None, groups=[], allowed_types=())
"""
TIDY = """
import django
from datetime import timedelta
django.setup()
from qanat.server.runs import clock, housekeeping
housekeeping.tidy(now=clock.now() + timedelta(days=2))
"""


@pytest.mark.slow
def test_a_server_that_was_killed_after_it_wrote_a_file_leaves_none(tmp_path: os.PathLike[str]) -> None:
    environment = {
        **os.environ,
        "QANAT_DATA_DIR": str(tmp_path),
        "QANAT_DATABASE_URL": "",
        "QANAT_STORAGE_ROOT": f"{tmp_path}/media",
        "DJANGO_SETTINGS_MODULE": "qanat.server.config.settings",
    }

    def files() -> list[str]:
        return [name for _, _, names in os.walk(f"{tmp_path}/media") for name in names]

    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert (killed.returncode, len(files())) == (-signal.SIGKILL, 1)

    subprocess.run([sys.executable, "-c", TIDY], env=environment, check=True)

    assert files() == []
