"""Whatever a server answers, the user reads a sentence."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from qanat.cli import client as module
from qanat.cli.client import Client, ServerAway, ServerRefused

Handler = Callable[[httpx.Request], httpx.Response]
TOKENS = {"access_token": "first", "refresh_token": "again"}


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Handler], Client]]:
    """Make clients of servers that are functions."""
    made: list[Client] = []
    real = httpx.Client

    def make(handler: Handler) -> Client:
        monkeypatch.setattr(httpx, "Client", lambda **given: real(**given, transport=httpx.MockTransport(handler)))
        made.append(Client("http://losses.example/api"))
        return made[-1]

    yield make
    for client in made:
        client.__exit__()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (httpx.Response(400, json={"name": ["This field is required."]}), "name: This field is required."),
        (httpx.Response(404, json={"detail": "Not found."}), "detail: Not found."),
        (httpx.Response(400, json=["Send username", "and password."]), "Send username and password."),
        (httpx.Response(400, json={"a": ["one", "two"], "b": 3}), "a: one two; b: 3"),
        (httpx.Response(502, text="Bad gateway"), "Bad gateway"),
        (httpx.Response(413, text="x" * 1000), "x" * 300),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(
    client_of: Callable[[Handler], Client], answer: httpx.Response, sentence: str
) -> None:
    client = client_of(lambda _: answer)

    with pytest.raises(ServerRefused) as refused:
        client.post("analyses/", {})

    assert str(refused.value) == f"POST /api/v2/analyses/: {answer.status_code} {sentence}"
    assert refused.value.status == answer.status_code


def test_a_server_that_is_away_says_what_to_start(
    client_of: Callable[[Handler], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", -1.0)

    def nobody(request: httpx.Request) -> httpx.Response:
        message = "Connection refused"
        raise httpx.ConnectError(message, request=request)

    with pytest.raises(ServerAway) as away:
        client_of(nobody).post("analyses/")

    assert str(away.value) == (
        "No server answers at http://losses.example/api (Connection refused): start one with `qanat up`, or give "
        "--server."
    )


def test_wrong_credentials_are_a_refusal(client_of: Callable[[Handler], Client]) -> None:
    client = client_of(lambda _: httpx.Response(401, json={"detail": "No active account found"}))

    with pytest.raises(ServerRefused, match="access_token/: 401 detail: No active account found"):
        client.login("ann", "wrong")


def test_requests_carry_the_token_of_the_login(client_of: Callable[[Handler], Client]) -> None:
    seen: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization", "none"))
        return httpx.Response(200, json=TOKENS if request.url.path.endswith("access_token/") else [])

    client = client_of(server)
    client.login("ann", "right")
    client.get("models/")

    assert seen == ["none", "Bearer first"]


def test_a_token_that_has_run_out_is_renewed_once_and_the_request_repeated(
    client_of: Callable[[Handler], Client],
) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.url.path.endswith("access_token/"):
            return httpx.Response(200, json=TOKENS)
        if request.url.path.endswith("refresh_token/"):
            assert token == "again"
            return httpx.Response(200, json={"access_token": "second"})
        return httpx.Response(200, json={"id": 7}) if token == "second" else httpx.Response(403, json={})

    client = client_of(server)
    client.login("ann", "right")

    assert client.post("analyses/", {}) == {"id": 7}


def test_what_stays_forbidden_is_refused(client_of: Callable[[Handler], Client]) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if "token" in request.url.path:
            return httpx.Response(200, json=TOKENS)
        return httpx.Response(403, json={"detail": "Not yours."})

    client = client_of(server)
    client.login("ann", "right")

    with pytest.raises(ServerRefused, match="Not yours"):
        client.post("analyses/", {})


def test_reading_waits_for_a_server_that_is_being_restarted(
    client_of: Callable[[Handler], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0.0)
    answers = [httpx.Response(502), httpx.Response(503), httpx.Response(200, json={"status": "READY"})]

    assert client_of(lambda _: answers.pop(0)).get("analyses/1/") == {"status": "READY"}


@pytest.mark.parametrize(
    ("failure", "again"), [(httpx.ConnectError, True), (httpx.ReadError, False)], ids=["not sent", "perhaps done"]
)
def test_writing_is_repeated_only_where_nothing_was_sent(
    client_of: Callable[[Handler], Client],
    monkeypatch: pytest.MonkeyPatch,
    failure: type[httpx.TransportError],
    again: bool,  # noqa: FBT001 - a case
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0.0)
    asked: list[str] = []

    def restarting(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) == 1:
            message = "it is being restarted"
            raise failure(message, request=request)
        return httpx.Response(201, json={"id": 1})

    client = client_of(restarting)
    if again:
        assert client.post("analyses/", {}) == {"id": 1}
    else:
        with pytest.raises(ServerAway):
            client.post("analyses/", {})

    assert len(asked) == 1 + again


def test_reading_does_not_wait_for_ever(
    client_of: Callable[[Handler], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", -1.0)

    with pytest.raises(ServerRefused, match="502"):
        client_of(lambda _: httpx.Response(502)).get("analyses/1/")


def test_a_refusal_of_reading_is_not_waited_out(client_of: Callable[[Handler], Client]) -> None:
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(404, json={"detail": "Not found."})

    with pytest.raises(ServerRefused):
        client_of(server).get("analyses/1/")

    assert asked == ["/api/v2/analyses/1/"]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("location.csv", "text/csv"),
        ("location.parquet", "application/octet-stream"),
        ("location.CSV", "text/csv"),
        ("location.csv.gz", "application/gzip"),
        ("location", "text/csv"),
    ],
)
def test_a_file_is_uploaded_under_its_name_and_type(
    client_of: Callable[[Handler], Client], tmp_path: Path, name: str, content_type: str
) -> None:
    bodies: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read().decode())
        return httpx.Response(201, json={})

    (tmp_path / name).write_text("LocNumber\n1\n")
    client_of(server).upload("portfolios/1/location_file/", tmp_path / name)

    assert f'name="file"; filename="{name}"\r\nContent-Type: {content_type}' in bodies[0]
    assert "LocNumber\n1\n" in bodies[0]


def test_a_file_is_saved_where_there_is_one(client_of: Callable[[Handler], Client], tmp_path: Path) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        found = request.url.path.endswith("output_file/")
        return httpx.Response(200, content=b"bytes") if found else httpx.Response(404, json={})

    client = client_of(server)
    saved = client.download("analyses/1/output_file/", tmp_path / "new" / "output.tar.gz")
    absent = client.download("analyses/1/run_log_file/", tmp_path / "logs.tar.gz")

    assert saved is not None
    assert saved.read_bytes() == b"bytes"
    assert absent is None
    assert not (tmp_path / "logs.tar.gz").exists()


def test_a_refused_download_leaves_no_file(client_of: Callable[[Handler], Client], tmp_path: Path) -> None:
    client = client_of(lambda _: httpx.Response(403, content=json.dumps({"detail": "Not yours."})))

    with pytest.raises(ServerRefused, match="403 detail: Not yours"):
        client.download("analyses/1/output_file/", tmp_path / "output.tar.gz")

    assert list(tmp_path.iterdir()) == []
