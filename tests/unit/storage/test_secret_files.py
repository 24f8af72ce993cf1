"""A secret is made once, and only its owner may read it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from qanat.storage.secret_files import keep_secret


def test_a_secret_stays_the_same_and_no_two_are_alike(tmp_path: Path) -> None:
    first = keep_secret(tmp_path / "keys" / "a")

    again, other = keep_secret(tmp_path / "keys" / "a"), keep_secret(tmp_path / "keys" / "b")

    assert again == first
    assert other != first
    assert len(first) >= 64


def test_nobody_but_the_owner_may_read_it(tmp_path: Path) -> None:
    keep_secret(tmp_path / "key")

    mode = (tmp_path / "key").stat().st_mode

    assert oct(mode & 0o777) == "0o600"


def test_a_secret_of_the_users_own_is_kept(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("chosen by hand\n")

    secret = keep_secret(tmp_path / "key")

    assert secret == "chosen by hand"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_many_at_once_agree_on_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: keep_secret(tmp_path / "key"), range(40)))

    assert secrets == {(tmp_path / "key").read_text()}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
