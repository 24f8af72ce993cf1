"""A worker of several models that does nothing in a step, for ``benchmarks/dispatch.py``: as sparing as can be.

It speaks the worker protocol over real doorbells and HTTP: claims with the fence of the doorbell, and commits with the
token of the claim. When told to end it prints the doorbells in the order in which they came, as JSON.
"""

import http.client
import json
import os
import queue
import signal
import threading
import time
from types import FrameType
from typing import Any, Final

from kombu import Connection, Consumer, Exchange, Queue
from kombu.message import Message

from qanat.contract.queues import arguments
from qanat.contract.worker_protocol import STEP_TOKEN_SCHEME, WORKER_KEY_SCHEME

HELLO_SECONDS: Final = 15.0
CONFLICT: Final = 409
Doorbells = queue.SimpleQueue[tuple[int, int] | None]


class Api:
    """One connection to the API."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._key = f"{WORKER_KEY_SCHEME} {key}"

    def post(self, path: str, body: dict[str, Any], *, token: str | None = None) -> dict[str, Any] | None:
        """Return the answer, or None where the server refuses."""
        headers = {"Authorization": f"{STEP_TOKEN_SCHEME} {token}" if token else self._key, **JSON}
        try:
            answer = self._send(path, json.dumps(body), headers)
        except ConnectionError:  # it was idle for long, so the server has closed it
            self._connection.close()
            answer = self._send(path, json.dumps(body), headers)
        content = answer.read()
        if answer.status == CONFLICT:
            return None
        assert answer.status == http.client.OK, (path, answer.status, content[:500])
        return json.loads(content)  # type: ignore[no-any-return]

    def _send(self, path: str, body: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        self._connection.request("POST", f"/api/workers/{path}", body, headers)
        return self._connection.getresponse()


JSON: Final = {"Content-Type": "application/json"}


def see_through(doorbells: Doorbells, api: Api, name: str) -> None:
    """Claim and commit, one after another."""
    while (doorbell := doorbells.get()) is not None:
        step, fence = doorbell
        spec = api.post(f"steps/{step}/claim/", {"fence": fence, "worker": name})
        if spec is not None:
            commit = {"fence": fence, "outputs": [], "resources": None, "result": {}}
            api.post(f"steps/{step}/commit/", commit, token=spec["token"])


def main() -> None:
    """Work until told to end."""
    options = json.loads(os.environ["NOOP_WORKER"])
    port, key, slots = options["port"], options["key"], options["slots"]
    received: list[tuple[int, float]] = []
    ending = threading.Event()

    def end(signal_number: int, frame: FrameType | None) -> None:
        del signal_number, frame
        ending.set()

    signal.signal(signal.SIGTERM, end)
    hello = Api(port, key)
    consumers = []
    every: list[Doorbells] = []
    with Connection(options["broker"]) as connection:
        for name in options["queues"]:
            doorbells: Doorbells = queue.SimpleQueue()
            every.append(doorbells)

            def ring(message: Message, doorbells: Doorbells = doorbells) -> None:
                _, doorbell, _ = message.payload
                received.append((doorbell["step_id"], time.time()))
                doorbells.put((doorbell["step_id"], doorbell["fence"]))
                message.ack()

            declared = Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments(name))
            channel = connection.channel()
            consumers.append(
                Consumer(channel, [declared], on_message=ring, prefetch_count=1, accept=["json"]).__enter__()
            )
            for _ in range(slots):
                threading.Thread(
                    target=see_through, args=(doorbells, Api(port, key), f"noop {name}"), daemon=True
                ).start()
        said = -HELLO_SECONDS
        while not ending.is_set():
            if time.monotonic() - said > HELLO_SECONDS:
                said = time.monotonic()
                for name in options["queues"]:
                    body = {
                        "worker": f"noop {name}",
                        "queues": [name],
                        "slots": slots,
                        "draining": False,
                        "versions": {},
                    }
                    hello.post("hello/", body)
                print(flush=True)
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue
    for name in options["queues"]:
        body = {"worker": f"noop {name}", "queues": [name], "slots": 0, "draining": True, "versions": {}}
        hello.post("hello/", body)
    print(json.dumps(received), flush=True)


if __name__ == "__main__":
    main()
