"""Clients that stop reading or dawdle over sending hold up nobody but themselves."""

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from tests.live_server import HOST, PASSWORD, Live, serving

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live server")]
MANY = 50
MIB = 2**20
SIZE = 64 * MIB


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with the default number of threads, which is far smaller than the number of clients here."""
    with serving(tmp_path_factory.mktemp("live")) as live:
        yield live


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[httpx.Client]:
    """Somebody who is logged in."""
    with live.client() as client:
        yield client


@pytest.fixture(scope="module")
def large(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a file of 64 MiB."""
    content = tmp_path_factory.mktemp("large") / "location.csv"
    with content.open("wb") as stream:
        for number in range(64):
            stream.write(number.to_bytes(4, "big") * (MIB // 4))
    portfolio = client.post("v2/portfolios/", json={"name": "large"}).json()["id"]
    with content.open("rb") as stream:
        receipt = client.post(
            f"v2/portfolios/{portfolio}/location_file/", files={"file": ("location.csv", stream, "text/csv")}
        )
    assert receipt.status_code == 200
    return f"/api/v2/portfolios/{portfolio}/location_file/"


def memory_of(live: Live) -> int:
    """Return the memory of the server and its processes that is theirs alone, in bytes."""
    server = psutil.Process(live.pid)
    return sum(process.memory_full_info().uss for process in (server, *server.children(recursive=True)))


def begin(live: Live, request: str, body: bytes = b"") -> socket.socket:
    """Send a request and leave it at that."""
    connection = socket.create_connection((HOST, live.port), timeout=60)
    head = f"{request} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {live.token}\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_the_api_answers_while_many_downloads_and_uploads_stand_still(
    live: Live, client: httpx.Client, large: str
) -> None:
    upload = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n" + bytes(2 * MIB)
    before = memory_of(live)
    with ExitStack() as stack:
        stalled = [stack.enter_context(begin(live, f"GET {large}", b"\r\n")) for _ in range(MANY)]
        for connection in stalled:
            assert connection.recv(12) == b"HTTP/1.1 200"
        for _ in range(MANY):
            stack.enter_context(begin(live, f"POST {large}", upload))

        answers = [client.get("healthcheck/").json() for _ in range(20)]
        listed = client.get("v2/portfolios/").json()
        after = memory_of(live)

    assert answers == [{"status": "OK"}] * 20
    assert [row["name"] for row in listed] == ["large"]
    assert after - before < 100 * MIB


def test_a_download_that_stood_still_goes_on_where_it_was(live: Live, client: httpx.Client, large: str) -> None:
    with begin(live, f"GET {large}", b"\r\n") as connection:
        client.get("healthcheck/")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        received = answer.read()

    assert len(received) == SIZE
    assert received[-4:] == (63).to_bytes(4, "big")


def test_nothing_remains_of_an_upload_whose_sender_hangs_up(
    live: Live, client: httpx.Client, large: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    head = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n"
    folder = tmp_path_factory.getbasetemp()
    with begin(live, f"POST {large}", head + b"x" * 2 * MIB):
        pass

    stored = client.get(f"http://{HOST}:{live.port}{large}", headers={"Range": "bytes=0-3"})

    assert stored.content == (0).to_bytes(4, "big")
    assert not [path for path in folder.glob("live*/uploads/*") if path.is_file()]


def test_an_upload_is_written_to_disk_once(live: Live, client: httpx.Client) -> None:
    portfolio = client.post("v2/portfolios/", json={"name": "once"}).json()["id"]
    path, content = f"v2/portfolios/{portfolio}/location_file/", os.urandom(32 * MIB)
    server = psutil.Process(live.pid).children()[0]
    before = server.io_counters().write_bytes

    receipt = client.post(path, files={"file": ("location.csv", content, "text/csv")})
    written = server.io_counters().write_bytes - before
    stored = client.get(path).content
    client.delete(f"v2/portfolios/{portfolio}/")

    assert (receipt.status_code, stored) == (200, content)
    assert written < 1.5 * len(content)


def test_a_large_body_of_somebody_unknown_is_read_but_not_kept(live: Live, large: str) -> None:
    before = psutil.Process(live.pid).children()[0].io_counters().write_bytes

    answer = httpx.post(f"http://{HOST}:{live.port}{large}", files={"file": ("a.csv", bytes(32 * MIB), "text/csv")})

    assert (answer.status_code, answer.json()) == (403, {"detail": "Authentication credentials were not provided."})
    assert psutil.Process(live.pid).children()[0].io_counters().write_bytes - before < MIB


@contextmanager
def in_session(live: Live) -> Iterator[httpx.Client]:
    """Yield a browser on this machine, in which somebody has logged in on the page for it."""
    with httpx.Client(base_url=live.url, timeout=60) as browser:
        browser.get("auth/login/")
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        assert browser.post("auth/login/", data=form).status_code == 302
        yield browser


def test_a_browser_with_a_session_sends_a_large_body(live: Live) -> None:
    with in_session(live) as browser:
        token = {"X-CSRFToken": browser.cookies["csrftoken"]}
        portfolio = browser.post("v2/portfolios/", json={"name": "by session"}, headers=token).json()["id"]
        path, file = f"v2/portfolios/{portfolio}/location_file/", ("location.csv", bytes(4 * MIB), "text/csv")

        without = browser.post(path, files={"file": file})
        receipt = browser.post(path, files={"file": file}, headers=token)
        stored = browser.get(path).content
        browser.delete(f"v2/portfolios/{portfolio}/", headers=token)

    assert (without.status_code, "CSRF" in without.json()["detail"]) == (403, True)
    assert (receipt.status_code, len(stored)) == (200, 4 * MIB)


def test_a_large_body_for_nobody_is_not_taken(live: Live, client: httpx.Client) -> None:
    answer = client.post("v2/nowhere/", files={"file": ("a.csv", bytes(MIB), "text/csv")})

    assert answer.status_code == 404


def test_a_document_is_not_read_without_end(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(80):
            yield b"x" * MIB
        yield b'"}'

    answer = client.post("v2/portfolios/", content=endless(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413
    assert "longer than the 67108864 bytes" in answer.json()["detail"]


def test_a_body_in_chunks_is_taken_like_any_other(client: httpx.Client) -> None:
    answer = client.post(
        "v2/portfolios/", content=iter([b'{"na', b'me": "in chunks"}']), headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["name"]) == (201, "in chunks")
    # The server is shared, and tests come in any order.
    assert client.delete(f"v2/portfolios/{answer.json()['id']}/").status_code == 204


def test_headers_without_end_are_cut_off(live: Live) -> None:
    with socket.create_connection((HOST, live.port), timeout=60) as connection:
        connection.sendall(b"GET /api/healthcheck/ HTTP/1.1\r\nX-Long: ")
        try:
            for _ in range(1000):
                connection.sendall(b"x" * 1000)
            left = connection.recv(100)
        except ConnectionError:
            left = b""

    assert left == b""


def test_a_header_with_an_underscore_does_not_pass_for_another(live: Live, large: str) -> None:
    del large  # a row of a list is what is looked at
    headers = {"Authorization": f"Bearer {live.token}", "X_Forwarded_Host": "evil.example"}
    listed = httpx.get(f"{live.url}v2/portfolios/", headers=headers)

    assert listed.json()[0]["storage_links"].startswith(live.url)
