"""A data directory is one user's own, and one platform's at a time."""

import stat
from pathlib import Path

import pytest

from qanat.cli.errors import CommandFailed
from qanat.cli.up import broker
from qanat.cli.up.layout import Layout, default_data_dir, read_json, write_private


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return the layout of a directory that is not there yet."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Layout(tmp_path / "a" / "data")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_directory_is_the_one_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QANAT_DATA_DIR", "/some/place")

    assert default_data_dir() == Path("/some/place")


def test_without_one_it_lies_where_desktops_keep_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QANAT_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", "/home/ann/data")
    given = default_data_dir()
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("HOME", "/home/ann")

    assert given == Path("/home/ann/data/qanat")
    assert default_data_dir() == Path("/home/ann/.local/share/qanat")


def test_folders_are_made_for_the_owners_eyes(layout: Layout) -> None:
    layout.prepare()
    layout.prepare()

    for folder in (layout.root, layout.logs, layout.work, layout.runtime):
        assert _mode(folder) == 0o700


def test_a_place_that_cannot_be_made_is_refused_with_a_sentence(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("in the way")

    with pytest.raises(CommandFailed, match=r"cannot be made .* choose another place with --data-dir"):
        layout.prepare()


def test_a_folder_for_sockets_of_somebody_else_is_refused(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout.runtime
    layout.prepare()
    monkeypatch.setattr(Layout, "runtime", folder)
    monkeypatch.setattr("os.getuid", lambda: 12345)

    with pytest.raises(CommandFailed, match="belongs to somebody else"):
        layout.prepare()


def test_a_second_platform_is_told_where_the_first_one_is(layout: Layout) -> None:
    layout.prepare()
    write_private(layout.running, {"url": "http://127.0.0.1:8000"})

    with layout.lock(), pytest.raises(CommandFailed) as refused:
        layout.lock()

    refused.traceback[-1].frame.f_locals["stream"].close()  # else whoever is collecting garbage complains of it
    assert f"A platform runs in {layout.root} already, at http://127.0.0.1:8000" in str(refused.value)


def test_the_lock_goes_with_its_holder(layout: Layout) -> None:
    layout.prepare()
    with layout.lock():
        pass

    with layout.lock() as again:
        assert not again.closed


def test_two_data_directories_never_share_sockets(tmp_path: Path) -> None:
    assert Layout(tmp_path / "a").runtime != Layout(tmp_path / "b").runtime


def test_what_is_private_may_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.json"
    path.write_text("{}")
    path.chmod(0o644)

    write_private(path, {"password": "x"})

    assert read_json(path) == {"password": "x"}
    assert _mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, "", "{", "[1]", '"text"'])
def test_what_is_no_json_object_counts_as_empty(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "up.json"
    if content is not None:
        path.write_text(content)

    assert read_json(path) == {}


def test_the_broker_listens_on_a_socket_of_its_owner_and_keeps_nothing(layout: Layout) -> None:
    command = list(broker.command(layout))
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert options["--unixsocket"] == str(broker.socket_path(layout))
    assert options["--unixsocketperm"] == "700"
    assert options["--port"] == "0"
    assert options["--save"] == ""
    assert broker.url(layout) == f"redis+socket://{layout.runtime}/broker.sock"


def test_the_socket_of_a_former_life_is_cleared(layout: Layout) -> None:
    layout.prepare()
    broker.socket_path(layout).touch()

    broker.clear(layout)
    broker.clear(layout)

    assert not broker.socket_path(layout).exists()
