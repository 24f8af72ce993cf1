"""What a worker makes of its settings: which model, which key, whether it registers, and how it trusts its broker."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from kombu.exceptions import OperationalError

from qanat.configuration import worker as configuration
from qanat.configuration.sources import Sources
from qanat.worker import main
from qanat.worker import settings as module
from qanat.worker.identity import identify
from qanat.worker.settings import BadSettings, ModelNotSaid, WorkerSettings, from_environment
from tests.unit.worker.twin import Twin


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without a data directory."""
    monkeypatch.delenv("QANAT_DATA_DIR")


def test_the_model_of_the_command_line_beats_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OASIS_MODEL_DATA_DIRECTORY", str(tmp_path / "theirs"))

    assert from_environment(None).model_dir == tmp_path / "theirs"
    assert from_environment(tmp_path / "ours").model_dir == tmp_path / "ours"


def test_the_image_of_a_model_has_it_where_images_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "DEFAULT_MODEL_DIR", tmp_path)

    assert from_environment(None).model_dir == tmp_path
    assert str(configuration.DEFAULT_MODEL_DIR) == "/home/worker/model"


def test_the_internal_worker_has_no_model_whatever_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OASIS_RUN_MODE", "server-internal")
    monkeypatch.setenv("OASIS_MODEL_DATA_DIRECTORY", str(tmp_path))

    assert from_environment(None).model_dir is None
    with pytest.raises(ModelNotSaid):
        from_environment(tmp_path)


def test_another_run_mode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OASIS_RUN_MODE", "v3")

    with pytest.raises(BadSettings, match="OASIS_RUN_MODE"):
        from_environment(None)


def test_the_key_lies_in_the_data_directory_where_nobody_gives_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "worker_key").write_text("of the file\n")
    monkeypatch.setenv("QANAT_DATA_DIR", str(tmp_path))

    assert from_environment(tmp_path).worker_key == "of the file"
    assert from_environment(tmp_path, worker_key="given").worker_key == "given"


class Post:
    """Takes what Celery would send."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send_task(self, name: str, **_: Any) -> None:  # noqa: ANN401 - as Celery's
        self.sent.append(name)


class Idle:
    """A supervisor that drains nothing."""

    draining = threading.Event()


@pytest.mark.parametrize(("disabled", "registrations"), [(False, 1), (True, 0)])
def test_a_worker_registers_unless_somebody_else_has(tmp_path: Path, *, disabled: bool, registrations: int) -> None:
    (tmp_path / "oasislmf.json").write_text("{}")
    model = identify(tmp_path, supplier_id="Acme", model_id="Flood", version_id="1")
    settings = WorkerSettings(model_dir=tmp_path, disable_worker_reg=disabled)
    post, stopping = Post(), threading.Event()
    stopping.set()

    main._say_hello(post, settings, model, Twin(), Idle(), stopping)  # type: ignore[arg-type]

    assert len(post.sent) == registrations


@pytest.mark.parametrize(
    ("variables", "own", "kernel"),
    [
        ({}, "info", "info"),
        ({"OASIS_DEBUG": "true"}, "debug", "debug"),
        ({"OASIS_DEBUG": "true", "OASIS_PACKAGE_LOG_LEVEL": "WARNING"}, "debug", "warning"),
        ({"QANAT_LOG_LEVEL": "error"}, "error", "info"),
    ],
)
def test_the_worker_and_its_kernel_log_as_much_as_is_asked_for(
    variables: dict[str, str], own: str, kernel: str
) -> None:
    settings = WorkerSettings.read(Sources.read(variables))

    assert (settings.own_level, settings.kernel_level) == (own, kernel)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Something that speaks TLS under a certificate of ``ca.pem``, and notes how each handshake ended."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    noted: list[str] = []

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                raw, _ = listening.accept()
                with raw:
                    try:
                        with context.wrap_socket(raw, server_side=True):
                            noted.append("agreed")
                    except ssl.SSLError:
                        noted.append("refused")

    with socket.create_server(("localhost", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield f"amqps://localhost:{listening.getsockname()[1]}//", noted
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(("authority", "ended"), [("ca.pem", "agreed"), ("other.pem", "refused")])
def test_a_broker_must_have_a_certificate_of_the_authority_that_is_named(
    broker: tuple[str, list[str]], tmp_path: Path, authority: str, ended: str
) -> None:
    address, noted = broker
    settings = WorkerSettings(broker_url=address, broker_ssl_ca_certs=tmp_path / authority)

    with main._listener(settings).connection() as connection, pytest.raises((OSError, OperationalError)):
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)

    assert set(noted) == {ended}
