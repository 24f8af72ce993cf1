"""How each method of the stock Python client's ``APIClient`` is used, and on what, whichever version it is of.

``CALLS`` has a call for every method that any version has, ``LACKED`` what older ones do not have. A call makes what it
changes for itself; what it only reads is in the ``Scene``, which is set once.
"""

import io
import itertools
import json
import tarfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
from oasislmf.platform_api import client as stock
from requests.exceptions import HTTPError

from qanat.demo.portfolio import DemoPortfolio
from tests.documents import ANALYSIS_SETTINGS, LOCATIONS, MODEL_SETTINGS
from tests.waiting import until

Call = Callable[["Scene"], object]
NOT_OFFERED: Final = 405
NOT_THERE: Final = 404
NO_SUCH_TYPE: Final = 400
POLL_SECONDS: Final = 0.2
RATES: Final = b"FromCurrency,ToCurrency,Rate\nEUR,USD,1.1\n"
_numbers = itertools.count(1)


def methods(owner: object, prefix: str = "") -> Iterator[str]:
    """Yield the names of all public methods of a client, as ``portfolios.location_file.upload``."""
    for name in dir(owner):
        if name.startswith("_") or name in {"api", "session", "logger"}:
            continue
        found = getattr(owner, name)
        if type(found).__module__ == stock.__name__:
            yield from methods(found, f"{prefix}{name}.")
        elif callable(found):
            yield f"{prefix}{name}"


@dataclass(kw_only=True)
class Scene:
    """A logged-in client, and what its calls are about."""

    client: Any
    """``APIClient``, which has no types."""
    files: DemoPortfolio
    folder: Path
    model: int = 0
    portfolio: int = 0
    data_file: int = 0
    completed: int = 0
    """An analysis that has run."""
    spoilt: int = 0
    """Another, whose files are deleted one by one."""
    ready: int = 0
    """An analysis with inputs, to be started and cancelled."""
    failed: int = 0
    """An analysis whose inputs could not be made."""
    outcomes: dict[str, object] = field(default_factory=dict)
    """What the client said while the scene was set."""

    def set(self, *, model: int) -> "Scene":
        """Make all that is only read, by the client's own methods."""
        self.model = model
        self.portfolio = self.fresh("portfolios")
        self.data_file = self.fresh("data_files")
        for name in ("completed", "spoilt", "ready"):
            made = self.client.create_analysis(self.portfolio, model, name, str(self.files.settings))
            setattr(self, name, made["id"])
            self.outcomes["run_generate"] = self.client.run_generate(made["id"], POLL_SECONDS)
        for analysis in (self.completed, self.spoilt):
            self.outcomes["run_analysis"] = self.client.run_analysis(
                analysis, str(self.files.settings), poll_interval=POLL_SECONDS
            )
        self.failed = self.fail()
        return self

    def fail(self) -> int:
        """Return the id of an analysis whose inputs cannot be made."""
        broken = self.client.portfolios.create("Broken").json()["id"]
        self.client.portfolios.location_file.post(broken, "PortNumber,AccNumber\n1,2\n", "text/csv")
        made = self.client.create_analysis(broken, self.model, "failed", str(self.files.settings))
        self.outcomes["failed"] = self.client.run_generate(made["id"], POLL_SECONDS)
        return int(made["id"])

    def fresh(self, kind: str) -> int:
        """Return the id of a new row with all its files, to be changed at will."""
        client, files = self.client, self.files
        if kind == "portfolios":
            row = client.upload_inputs(
                location_fp=str(files.location),
                accounts_fp=str(files.accounts),
                ri_info_fp=str(files.reinsurance_info),
                ri_scope_fp=str(files.reinsurance_scope),
                **self.currency(),
            )
        elif kind == "analyses":
            row = client.create_analysis(self.portfolio, self.model, "fresh", str(files.settings))
        elif kind == "models":
            row = client.models.create("Supplier", unique("Fresh"), "1").json()
            client.models.settings.post(row["id"], MODEL_SETTINGS)
        else:
            row = client.data_files.create("Fresh").json()
            client.data_files.content.upload_byte(row["id"], RATES, "rates.csv")
        return int(row["id"])

    def settled(self, kind: str) -> int:
        """Return the id of the row that is only read."""
        return {
            "portfolios": self.portfolio,
            "analyses": self.completed,
            "models": self.model,
            "data_files": self.data_file,
        }[kind]

    def currency(self) -> dict[str, str]:
        """Return what is said of currencies with the inputs, by clients that can."""
        if not hasattr(self.client, "get_currency_conversion"):
            return {}
        return {"currency_conversion_fp": str(self.currency_table()), "reporting_currency": "USD"}

    def currency_table(self) -> Path:
        """Return a currency table as the kernel reads it, in which the client finds the file to send."""
        (self.folder / "rates.csv").write_bytes(RATES)
        table = self.folder / "currency.json"
        table.write_text(json.dumps({"currency_conversion_type": "DictBasedCurrencyRates", "file_path": "rates.csv"}))
        return table

    def failed_sub_task(self, of: int = 0) -> int:
        """Return the id of the sub-task in which an analysis failed."""
        [pk] = self.client.analyses.get(of or self.failed).json()["sub_task_error_ids"]
        return int(pk)

    def path(self, name: str = "downloaded") -> str:
        """Return where to put a download, in a folder that is not there yet."""
        return str(self.folder / f"download-{next(_numbers)}" / name)


def unique(name: str) -> str:
    """Return a name that no other client on the same platform takes."""
    return f"{name}-{uuid.uuid4().hex}"


def refused(call: Callable[[], object], *codes: int) -> None:
    """Call; the server refuses it with one of these codes."""
    with pytest.raises(HTTPError) as error:
        call()
    assert error.value.response is not None
    assert error.value.response.status_code in codes


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What an endpoint has of GET, POST and DELETE; what it has not is refused."""

    gets: bool = True
    takes: Any = None
    """Name and content of a file, or a JSON document; None: nothing is taken."""
    deletes: bool = False
    shows: str = ""
    """Its media type."""
    spoils: bool = False
    """Deleted from the analysis that is there for it: nobody can upload it anew."""
    refusals: tuple[int, ...] = (NOT_OFFERED,)


CSV: Final = ("location.csv", LOCATIONS)
JSON_FILE: Final = ("document.json", b"{}")
OED: Final = Offer(takes=CSV, deletes=True, shows="text/csv")
RESULT: Final = Offer(shows="text/csv")
ROUTELESS: Final = Offer(gets=False, refusals=(NOT_THERE, NOT_OFFERED))

FILES: Final[Mapping[str, Offer]] = {
    "portfolios.location_file": OED,
    "portfolios.accounts_file": OED,
    "portfolios.reinsurance_info_file": OED,
    "portfolios.reinsurance_scope_file": OED,
    "portfolios.currency_conversion_json": Offer(takes=JSON_FILE, deletes=True, shows="application/json"),
    "data_files.content": OED,
    "analyses.settings_file": Offer(takes=JSON_FILE, deletes=True, shows="application/json"),
    "analyses.input_file": Offer(shows="application/gzip"),
    "analyses.lookup_errors_file": RESULT,
    "analyses.lookup_success_file": RESULT,
    "analyses.lookup_validation_file": Offer(shows="application/json"),
    "analyses.summary_levels_file": Offer(shows="application/json"),
    "analyses.input_generation_traceback_file": Offer(deletes=True, spoils=True, shows="text/plain"),
    "analyses.output_file": Offer(deletes=True, spoils=True, shows="application/gzip"),
    "analyses.run_traceback_file": Offer(deletes=True, spoils=True, shows="text/plain"),
    "analyses.run_log_file": Offer(deletes=True, spoils=True, shows="application/gzip"),
    # The client still has it; no server has had the route for years.
    "models.resource_file": ROUTELESS,
}
DOCUMENTS: Final[Mapping[str, Offer]] = {
    "models.settings": Offer(takes=MODEL_SETTINGS, deletes=True),
    "models.versions": Offer(),
    "models.storage_links": Offer(),
    "models.chunking_configuration": Offer(takes={"fixed_lookup_chunks": 2}),
    "models.scaling_configuration": Offer(takes={"worker_count_max": 2}),
    "portfolios.reporting_currency": Offer(takes={"reporting_currency": "EUR"}, deletes=True),
    "analyses.settings": Offer(takes=ANALYSIS_SETTINGS, deletes=True),
    "analyses.run_progress": Offer(),
    "analyses.input_file_tar_list": Offer(),
    "analyses.output_file_tar_list": Offer(),
    "analyses.chunking_configuration": Offer(takes={"fixed_lookup_chunks": 2}),
}


@dataclass(frozen=True)
class FileCalls:
    """The calls of a ``FileEndpoint`` of the client."""

    path: str
    offer: Offer

    @property
    def kind(self) -> str:
        """Whose file it is."""
        return self.path.partition(".")[0]

    def endpoint(self, scene: Scene) -> Any:  # noqa: ANN401 - the client has no types
        """Return the client's endpoint."""
        return attrgetter(self.path)(scene.client)

    def get(self, scene: Scene) -> None:
        """Read."""
        self._reads(scene, lambda pk: self._type_is_right(self.endpoint(scene).get(pk)))

    def download(self, scene: Scene) -> None:
        """Read into a file."""
        target = scene.path()
        self._reads(scene, lambda pk: self.endpoint(scene).download(pk, target))
        assert Path(target).exists()
        assert bool(Path(target).read_bytes()) == self.offer.gets

    def get_dataframe(self, scene: Scene) -> None:
        """Read as a table, or as those of an archive."""
        if self.offer.gets and self.offer.shows not in {"text/csv", "application/gzip"}:
            with pytest.raises(stock.OasisException, match="Unsupported filetype"):
                self.endpoint(scene).get_dataframe(scene.settled(self.kind))
        else:
            self._reads(scene, lambda pk: self._is_a_table(self.endpoint(scene).get_dataframe(pk)))

    def upload(self, scene: Scene) -> None:
        """Send a local file."""
        name, content = self.offer.takes or CSV
        (scene.folder / name).write_bytes(content)
        self._writes(scene, lambda pk: self.endpoint(scene).upload(pk, str(scene.folder / name)))

    def upload_byte(self, scene: Scene) -> None:
        """Send bytes under a name."""
        name, content = self.offer.takes or CSV
        self._writes(scene, lambda pk: self.endpoint(scene).upload_byte(pk, content, name))

    def post(self, scene: Scene) -> None:
        """Send bytes of a type, under the client's own name."""
        name, content = self.offer.takes or CSV
        content_type = "application/json" if name.endswith(".json") else "text/csv"
        self._writes(scene, lambda pk: self.endpoint(scene).post(pk, io.BytesIO(content), content_type))

    def post_dataframe(self, scene: Scene) -> None:
        """Send a table."""
        frame = pd.read_csv(io.BytesIO(RATES))
        if self.path == "analyses.settings_file":
            refused(lambda: self.endpoint(scene).post_dataframe(scene.fresh(self.kind), frame), NO_SUCH_TYPE)
        else:
            self._writes(scene, lambda pk: self.endpoint(scene).post_dataframe(pk, frame))

    def delete(self, scene: Scene) -> None:
        """Delete."""
        if not self.offer.deletes:
            refused(lambda: self.endpoint(scene).delete(scene.settled(self.kind)), *self.offer.refusals)
            return
        pk = scene.spoilt if self.offer.spoils else scene.fresh(self.kind)
        self.endpoint(scene).delete(pk)
        refused(lambda: self.endpoint(scene).get(pk), NOT_THERE)

    def _reads(self, scene: Scene, read: Callable[[int], object]) -> None:
        pk = scene.settled(self.kind)
        if self.offer.gets:
            read(pk)
        else:
            refused(lambda: read(pk), *self.offer.refusals)

    def _writes(self, scene: Scene, write: Callable[[int], object]) -> None:
        if self.offer.takes is None:
            refused(lambda: write(scene.settled(self.kind)), *self.offer.refusals)
            return
        pk = scene.fresh(self.kind)
        write(pk)
        assert self.endpoint(scene).get(pk).content

    def _type_is_right(self, answer: Any) -> None:  # noqa: ANN401 - the client has no types
        assert answer.headers["Content-Type"] == self.offer.shows

    def _is_a_table(self, found: object) -> None:
        assert isinstance(found, (dict, pd.DataFrame))


FILE_METHODS: Final = ("get", "download", "get_dataframe", "upload", "upload_byte", "post", "post_dataframe", "delete")


def _file_calls(path: str, offer: Offer) -> Iterator[tuple[str, Call]]:
    calls = FileCalls(path, offer)
    for name in FILE_METHODS:
        yield name, getattr(calls, name)


def _document_calls(path: str, offer: Offer) -> Iterator[tuple[str, Call]]:
    kind = path.partition(".")[0]
    endpoint = attrgetter(path)

    def get(scene: Scene) -> None:
        pk = scene.fresh("models") if path == "models.settings" else scene.settled(kind)
        assert endpoint(scene.client).get(pk).json() is not None

    def download(scene: Scene) -> None:
        pk, target = scene.settled(kind), scene.path()
        endpoint(scene.client).download(pk, target)
        assert json.loads(Path(target).read_text()) == endpoint(scene.client).get(pk).json()

    def post(scene: Scene) -> None:
        if offer.takes is None:
            refused(lambda: endpoint(scene.client).post(scene.settled(kind), {}), *offer.refusals)
            return
        pk = scene.fresh(kind)
        endpoint(scene.client).post(pk, offer.takes)
        assert offer.takes.items() <= endpoint(scene.client).get(pk).json().items()

    def delete(scene: Scene) -> None:
        if not offer.deletes:
            refused(lambda: endpoint(scene.client).delete(scene.settled(kind)), *offer.refusals)
            return
        pk = scene.fresh(kind)
        endpoint(scene.client).delete(pk)
        refused(lambda: endpoint(scene.client).get(pk), NOT_THERE)

    yield from {"get": get, "download": download, "post": post, "delete": delete}.items()


def _log_calls(log: str) -> Iterator[tuple[str, Call]]:
    endpoint = attrgetter(f"task_status.{log}")

    def get(scene: Scene) -> None:
        answer = endpoint(scene.client).get(scene.failed_sub_task())
        assert (answer.headers["Content-Type"], bool(answer.content)) == ("text/plain", True)

    def download(scene: Scene) -> None:
        target = scene.path()
        endpoint(scene.client).download(scene.failed_sub_task(), target)
        assert Path(target).read_bytes()

    def get_dataframe(scene: Scene) -> None:
        with pytest.raises(stock.OasisException, match="Unsupported filetype"):
            endpoint(scene.client).get_dataframe(scene.failed_sub_task())

    def delete(scene: Scene) -> None:
        pk = scene.failed_sub_task(of=scene.fail())
        endpoint(scene.client).delete(pk)
        refused(lambda: endpoint(scene.client).get(pk), NOT_THERE)

    reads = {"get": get, "download": download, "get_dataframe": get_dataframe, "delete": delete}
    if log == "retry_log":
        # Nothing was tried twice here.
        absent = attrgetter(f"task_status.{log}")
        reads = {
            "get": lambda scene: refused(lambda: absent(scene.client).get(scene.failed_sub_task()), NOT_THERE),
            "download": lambda scene: refused(
                lambda: absent(scene.client).download(scene.failed_sub_task(), scene.path()), NOT_THERE
            ),
            "get_dataframe": lambda scene: refused(
                lambda: absent(scene.client).get_dataframe(scene.failed_sub_task()), NOT_THERE
            ),
            "delete": lambda scene: refused(lambda: absent(scene.client).delete(scene.failed_sub_task()), NOT_THERE),
        }
    yield from reads.items()
    yield from _not_taken(endpoint, Scene.failed_sub_task)


def _not_taken(endpoint: Any, row: Callable[[Scene], int]) -> Iterator[tuple[str, Call]]:  # noqa: ANN401
    """Yield the calls that send something to an endpoint that takes nothing."""
    frame = pd.DataFrame({"a": [1]})
    sends: dict[str, Callable[[Any, Scene], object]] = {
        "upload": lambda files, scene: files.upload(row(scene), str(scene.files.location)),
        "upload_byte": lambda files, scene: files.upload_byte(row(scene), RATES, "rates.csv"),
        "post": lambda files, scene: files.post(row(scene), io.BytesIO(RATES)),
        "post_dataframe": lambda files, scene: files.post_dataframe(row(scene), frame),
    }
    for name, send in sends.items():
        yield (
            name,
            lambda scene, send=send: refused(  # type: ignore[misc] # bound at once
                lambda: send(endpoint(scene.client), scene), NOT_OFFERED, NOT_THERE
            ),
        )


def _member_calls(path: str) -> Iterator[tuple[str, Call]]:
    """Yield the calls for single files out of an archive."""
    endpoint = attrgetter(path)
    archive = path.removesuffix("_tar_extract")

    def member(scene: Scene) -> tuple[str, bytes]:
        content = attrgetter(archive)(scene.client).get(scene.completed).content
        with tarfile.open(fileobj=io.BytesIO(content)) as members:
            found = next(each for each in members if each.name.endswith(".csv"))
            stream = members.extractfile(found)
            assert stream is not None
            return found.name, stream.read()

    def get(scene: Scene) -> None:
        name, content = member(scene)
        assert endpoint(scene.client).get(scene.completed, name).content == content

    def download(scene: Scene) -> None:
        name, content = member(scene)
        target = scene.path()
        endpoint(scene.client).download(scene.completed, name, target)
        assert Path(target).read_bytes() == content

    def get_dataframe(scene: Scene) -> None:
        with pytest.raises(TypeError, match="filename"):  # the client does not pass it on
            endpoint(scene.client).get_dataframe(scene.completed)

    def delete(scene: Scene) -> None:
        refused(lambda: endpoint(scene.client).delete(scene.completed), NOT_OFFERED)

    yield from {"get": get, "download": download, "get_dataframe": get_dataframe, "delete": delete}.items()
    yield from _not_taken(endpoint, lambda scene: scene.completed)


def _ids(answer: Any) -> set[int]:  # noqa: ANN401 - the client has no types
    return {row["id"] for row in answer.json()}


def _resource_calls(kind: str) -> Iterator[tuple[str, Call]]:
    """Yield what every resource has."""
    resource = attrgetter(kind)

    def get(scene: Scene) -> None:
        pk = scene.settled(kind)
        assert resource(scene.client).get(pk).json()["id"] == pk
        assert pk in _ids(resource(scene.client).get())

    def search(scene: Scene) -> None:
        found = resource(scene.client).search({"created__gt": "2000-01-01", "user": "nobody"})
        assert found.json() == []
        assert scene.settled(kind) in _ids(resource(scene.client).search())

    def delete(scene: Scene) -> None:
        pk = scene.fresh(kind)
        resource(scene.client).delete(pk)
        refused(lambda: resource(scene.client).get(pk), NOT_THERE)

    yield from {"get": get, "search": search, "delete": delete}.items()


def _update_portfolio(scene: Scene) -> None:
    pk = scene.fresh("portfolios")
    assert scene.client.portfolios.update(pk, "Renamed").json()["name"] == "Renamed"


def _update_model(scene: Scene) -> None:
    pk, version = scene.fresh("models"), unique("version")
    answer = scene.client.models.update(pk, "Supplier", "Renamed", version, data_files=[scene.data_file]).json()
    assert (answer["version_id"], answer["data_files"]) == (version, [scene.data_file])


def _update_data_file(scene: Scene) -> None:
    pk = scene.fresh("data_files")
    assert scene.client.data_files.update(pk, "New", "Category").json()["file_category"] == "Category"


def _update_analysis(scene: Scene) -> None:
    pk = scene.fresh("analyses")
    answer = scene.client.analyses.update(pk, "Renamed", scene.portfolio, scene.model, [scene.data_file]).json()
    assert (answer["name"], answer["complex_model_data_files"]) == ("Renamed", [scene.data_file])


def _make(call: Call) -> Call:
    """Return a call whose answer is a row that was made."""

    def made(scene: Scene) -> None:
        answer: Any = call(scene)
        assert (answer.status_code, answer.json()["id"] > 0) == (201, True)

    return made


def _status(scene: Scene, analysis: int) -> str:
    return str(scene.client.analyses.status(analysis))


def _generates(call: Callable[[Any, int], object]) -> Call:
    """Return a call that queues the inputs of a new analysis; they are cancelled at once."""

    def generate(scene: Scene) -> None:
        pk = scene.fresh("analyses")
        call(scene.client, pk)
        assert _status(scene, pk).startswith("INPUTS_GENERATION_")
        scene.client.analyses.cancel(pk)

    return generate


def _cancels(start: str, cancel: Callable[[Any, int], object]) -> Call:
    """Return a call that cancels what was just started."""

    def cancelled(scene: Scene) -> None:
        pk = scene.ready if start == "run" else scene.fresh("analyses")
        getattr(scene.client.analyses, start)(pk)
        cancel(scene.client, pk)
        until(lambda: _status(scene, pk).endswith("_CANCELLED"), what="the analysis is cancelled")

    return cancelled


def _run(scene: Scene) -> None:
    assert scene.client.analyses.run(scene.ready).json()["status"] == "RUN_QUEUED"
    scene.client.analyses.cancel(scene.ready)


def _create_analyses(scene: Scene) -> None:
    made = scene.client.portfolios.create_analyses(scene.portfolio, "A", scene.model).json()
    assert made["status"].startswith("INPUTS_GENERATION_")
    scene.client.analyses.cancel(made["id"])


def _copy(scene: Scene) -> None:
    assert scene.client.analyses.copy(scene.completed).json()["name"] == "completed - Copy"


def _upload_portfolio_file(scene: Scene) -> None:
    pk = int(scene.client.portfolios.create("P").json()["id"])
    scene.client.upload_portfolio_file(pk, "location_file", str(scene.files.location))
    scene.client.upload_portfolio_file(pk, "accounts_file", {"name": "a.csv", "bytes": LOCATIONS})
    row = scene.client.portfolios.get(pk).json()
    assert (row["location_file"]["name"], row["accounts_file"]["name"]) == (scene.files.location.name, "a.csv")


def _upload_currency(scene: Scene) -> None:
    pk = int(scene.client.portfolios.create("P").json()["id"])
    scene.client.upload_portfolio_reporting_currency(pk, "GBP")
    assert scene.client.portfolios.get(pk).json()["reporting_currency"] == "GBP"


def _upload_inputs(scene: Scene) -> None:
    row = scene.client.portfolios.get(scene.fresh("portfolios")).json()
    again = scene.client.upload_inputs(portfolio_name="Again", portfolio_id=row["id"])
    if scene.currency():
        assert row["currency_conversion_json"]["name"] == "currency_conversion.json"
    assert (again["name"], again["location_file"]) == ("Again", row["location_file"])


def _upload_settings(scene: Scene) -> None:
    pk = scene.fresh("analyses")
    scene.client.upload_settings(pk, ANALYSIS_SETTINGS)
    assert ANALYSIS_SETTINGS.items() <= scene.client.analyses.settings.get(pk).json().items()


def _generated(scene: Scene) -> None:
    assert (scene.outcomes["run_generate"], scene.outcomes["failed"]) == (True, False)
    assert _status(scene, scene.failed) == "INPUTS_GENERATION_ERROR"


def _ran(scene: Scene) -> None:
    assert scene.outcomes["run_analysis"] is True
    assert _status(scene, scene.completed) == "RUN_COMPLETED"


def _says_ok(answer: Any) -> None:  # noqa: ANN401 - the client has no types
    assert answer.json() == {"status": "OK"}


def _status_of(scene: Scene) -> None:
    assert scene.client.analyses.status(scene.completed) == "RUN_COMPLETED"


def _lists_data_files(answer: Any) -> None:  # noqa: ANN401 - the client has no types
    assert isinstance(answer.json(), list)


def _links(scene: Scene) -> None:
    assert scene.client.analyses.storage_links(scene.completed).json()["output_file"]


def _portfolio_links_read(scene: Scene) -> None:
    target = scene.path()
    scene.client.portfolios.storage_links.download(scene.portfolio, target)
    found = scene.client.portfolios.storage_links.get(scene.portfolio).json()
    assert json.loads(Path(target).read_text()) == found
    assert all(link for name, link in found.items() if name.endswith("_file") or scene.currency())


def _find_sub_tasks(scene: Scene) -> None:
    found = scene.client.task_status.search({"status": "COMPLETED"}).json()
    assert {row["status"] for row in found} == {"COMPLETED"}


def _currency_table(scene: Scene) -> None:
    table = scene.currency_table()
    assert scene.client.get_currency_conversion(str(table)) == str(table.with_name("rates.csv"))


def _server_info(scene: Scene) -> None:
    assert scene.client.server_info().json()["config"]["API_AUTH_TYPE"] == "simple_jwt"


def _download_output(scene: Scene) -> None:
    folder = Path(scene.path())
    scene.client.download_output(scene.completed, str(folder), "out.tar.gz")
    assert tarfile.is_tarfile(folder / "out.tar.gz")


def _reconnect(scene: Scene) -> None:
    folder = Path(scene.path())
    assert scene.client.reconnect(scene.completed, str(folder), POLL_SECONDS) is True
    assert len(list(folder.iterdir())) == 1


def _sub_tasks(scene: Scene) -> None:
    [pk, *_] = [row["id"] for row in scene.client.analyses.sub_task_list(scene.completed).json()]
    assert scene.client.task_status.get(pk).json()["status"] == "COMPLETED"


def _queue(scene: Scene) -> None:
    assert any(queue["models"] for queue in scene.client.queue().json())


def _queue_status(scene: Scene) -> None:
    assert scene.client.queue_status().json()["type"] == "queue_status.updated"


def _peril_codes(scene: Scene) -> None:
    assert scene.client.oed_peril_codes().json()["peril_codes"]


def _combine(scene: Scene) -> None:
    answer = scene.client.analyses.combine([scene.completed], {"group_number_of_periods": 10}, "combined")
    assert answer.json()["status"] == "RUN_STARTED"


def _validate(scene: Scene) -> None:
    pk = scene.fresh("portfolios")
    assert scene.client.portfolios.validate.post(pk, {}).json()["location_validated"] in {True, False}
    until(
        lambda: scene.client.portfolios.get(pk).json()["validation_status"] == "RUN_COMPLETED", what="it is validated"
    )


def _validation(scene: Scene) -> None:
    assert set(scene.client.portfolios.validate.get(scene.portfolio).json()) >= {"location_validated"}


def _validation_downloaded(scene: Scene) -> None:
    target = scene.path()
    scene.client.portfolios.validate.download(scene.portfolio, target)
    assert "location_validated" in json.loads(Path(target).read_text())


def _portfolio_links(scene: Scene) -> None:
    links = scene.client.portfolios.storage_links.get(scene.portfolio).json()
    answer = scene.client.portfolios.storage_links.post(scene.fresh("portfolios"), links)
    assert set(answer.json()) == set(links)


def _with_errors(scene: Scene) -> int:
    """Return a portfolio whose validation has found errors."""
    pk = int(scene.client.portfolios.create("Broken").json()["id"])
    scene.client.portfolios.location_file.post(pk, "PortNumber,AccNumber\n1,2\n", "text/csv")
    scene.client.portfolios.validate.post(pk, {})
    until(lambda: scene.client.portfolios.get(pk).json()["validation_status"] == "ERROR", what="it is validated")
    return pk


def _exposed(scene: Scene, ask: Callable[[Any, int], object] = lambda runs, pk: runs.post(pk, {})) -> int:
    """Return a portfolio whose exposure has been run."""
    pk = scene.fresh("portfolios")
    ask(scene.client.portfolios.exposure_run, pk)
    until(lambda: scene.client.portfolios.get(pk).json()["exposure_status"] == "RUN_COMPLETED", what="it is run")
    return pk


def _transform(scene: Scene) -> None:
    mapping, source = scene.folder / "mapping.yaml", scene.folder / "source.csv"
    mapping.write_text("{}\n")
    source.write_bytes(LOCATIONS)
    answer = scene.client.portfolios.exposure_transform.post(
        scene.fresh("portfolios"), "location", str(mapping), str(source)
    )
    assert answer.json() == {"message": "in queue"}


def _derived_calls(path: str, row: Callable[[Scene], int]) -> Iterator[tuple[str, Call]]:
    """Yield the calls for a file that the server makes of a portfolio."""
    endpoint = attrgetter(path)

    def get(scene: Scene) -> None:
        assert endpoint(scene.client).get(row(scene)).headers["Content-Type"] == "text/csv"

    def download(scene: Scene) -> None:
        target = scene.path()
        endpoint(scene.client).download(row(scene), target)
        assert Path(target).read_bytes()

    def get_dataframe(scene: Scene) -> None:
        assert endpoint(scene.client).get_dataframe(row(scene)) is not None

    def delete(scene: Scene) -> None:
        refused(lambda: endpoint(scene.client).delete(scene.portfolio), NOT_OFFERED, NOT_THERE)

    yield from {"get": get, "download": download, "get_dataframe": get_dataframe, "delete": delete}.items()
    yield from _not_taken(endpoint, lambda scene: scene.portfolio)


def _template(scene: Scene) -> int:
    made = scene.client.models.setting_templates.post(scene.model, {"name": unique("Template")})
    return int(made.json()["id"])


def _templates(scene: Scene) -> Any:  # noqa: ANN401 - the client has no types
    return scene.client.models.setting_templates


def _template_calls() -> Iterator[tuple[str, Call]]:
    def get(scene: Scene) -> None:
        pk = _template(scene)
        assert pk in _ids(_templates(scene).get(scene.model))
        assert _templates(scene).get(scene.model, pk).json()["id"] == pk

    def put(scene: Scene) -> None:
        answer = _templates(scene).put(scene.model, _template(scene), {"name": "Replaced"})
        assert answer.json()["name"] == "Replaced"

    def change(scene: Scene) -> None:
        answer = _templates(scene).patch(scene.model, _template(scene), {"description": "Changed"})
        assert answer.json()["description"] == "Changed"

    def delete(scene: Scene) -> None:
        pk = _template(scene)
        _templates(scene).delete(scene.model, pk)
        refused(lambda: _templates(scene).get(scene.model, pk), NOT_THERE)

    yield from {"get": get, "post": _template, "put": put, "patch": change, "delete": delete}.items()


def _template_with_content(scene: Scene) -> int:
    pk = _template(scene)
    _templates(scene).content.post(scene.model, ANALYSIS_SETTINGS, pk)
    return pk


def _template_content_calls() -> Iterator[tuple[str, Call]]:
    def get(scene: Scene) -> None:
        found = _templates(scene).content.get(scene.model, _template_with_content(scene)).json()
        assert ANALYSIS_SETTINGS.items() <= found.items()

    def delete(scene: Scene) -> None:
        pk = _template_with_content(scene)
        _templates(scene).content.delete(scene.model, pk)
        refused(lambda: _templates(scene).content.get(scene.model, pk), NOT_THERE)

    def put(scene: Scene) -> None:
        pk = _template_with_content(scene)
        refused(lambda: _templates(scene).content.put(scene.model, pk, {}), NOT_OFFERED)

    def change(scene: Scene) -> None:
        # The client raises for a refusal of every method but this.
        assert (
            _templates(scene).content.patch(scene.model, _template_with_content(scene), {}).status_code == NOT_OFFERED
        )

    yield from {"get": get, "post": _template_with_content, "put": put, "patch": change, "delete": delete}.items()


def _exposure_of_a_table(scene: Scene) -> None:
    with pytest.raises(TypeError):  # the client hands the table to a method of its own that takes parameters
        scene.client.portfolios.exposure_run.post_dataframe(scene.portfolio, pd.DataFrame({"a": [1]}))


def _under(path: str, calls: Iterator[tuple[str, Call]]) -> dict[str, Call]:
    return {f"{path}.{name}": call for name, call in calls}


CALLS: Final[Mapping[str, Call]] = {
    **{name: call for path, offer in FILES.items() for name, call in _under(path, _file_calls(path, offer)).items()},
    **{
        name: call
        for path, offer in DOCUMENTS.items()
        for name, call in _under(path, _document_calls(path, offer)).items()
    },
    **{
        name: call
        for log in ("output_log", "error_log", "retry_log")
        for name, call in _under(f"task_status.{log}", _log_calls(log)).items()
    },
    **_under("analyses.input_file_tar_extract", _member_calls("analyses.input_file_tar_extract")),
    **_under("analyses.output_file_tar_extract", _member_calls("analyses.output_file_tar_extract")),
    **_under("models", _resource_calls("models")),
    **_under("portfolios", _resource_calls("portfolios")),
    **_under("analyses", _resource_calls("analyses")),
    **_under("data_files", _resource_calls("data_files")),
    **_under("portfolios.errors_file", _derived_calls("portfolios.errors_file", _with_errors)),
    **_under("portfolios.exposure_run", _derived_calls("portfolios.exposure_run", _exposed)),
    **_under("models.setting_templates", _template_calls()),
    **_under("models.setting_templates.content", _template_content_calls()),
    "portfolios.create": _make(lambda scene: scene.client.portfolios.create("P")),
    "portfolios.update": _update_portfolio,
    "portfolios.create_analyses": _create_analyses,
    "portfolios.validate.get": _validation,
    "portfolios.validate.post": _validate,
    "portfolios.validate.download": _validation_downloaded,
    "portfolios.validate.delete": lambda scene: refused(
        lambda: scene.client.portfolios.validate.delete(scene.portfolio), NOT_OFFERED, NOT_THERE
    ),
    "portfolios.storage_links.get": _portfolio_links_read,
    "portfolios.storage_links.post": _portfolio_links,
    "portfolios.storage_links.download": _portfolio_links_read,
    "portfolios.storage_links.delete": lambda scene: refused(
        lambda: scene.client.portfolios.storage_links.delete(scene.portfolio), NOT_OFFERED
    ),
    "portfolios.exposure_run.post": _exposed,
    "portfolios.exposure_run.post_dataframe": _exposure_of_a_table,
    # It asks for a run without parameters, and gets one with their defaults: what it uploads means nothing here.
    "portfolios.exposure_run.upload": lambda scene: _exposed(
        scene, lambda runs, pk: runs.upload(pk, str(scene.files.location))
    ),
    "portfolios.exposure_run.upload_byte": lambda scene: _exposed(
        scene, lambda runs, pk: runs.upload_byte(pk, RATES, "a.csv")
    ),
    "portfolios.exposure_transform.post": _transform,
    "models.create": _make(lambda scene: scene.client.models.create("S", unique("M"), "1")),
    "models.update": _update_model,
    "models.data_files": lambda scene: _lists_data_files(scene.client.models.data_files(scene.model)),
    "data_files.create": _make(lambda scene: scene.client.data_files.create("D", "Category")),
    "data_files.update": _update_data_file,
    "analyses.create": _make(lambda scene: scene.client.analyses.create("A", scene.portfolio, scene.model)),
    "analyses.update": _update_analysis,
    "analyses.status": _status_of,
    "analyses.generate": _generates(lambda client, pk: client.analyses.generate(pk)),
    "analyses.generate_and_run": _generates(lambda client, pk: client.analyses.generate_and_run(pk)),
    "analyses.run": _run,
    "analyses.cancel": _cancels("generate", lambda client, pk: client.analyses.cancel(pk)),
    "analyses.cancel_generate_inputs": _cancels(
        "generate", lambda client, pk: client.analyses.cancel_generate_inputs(pk)
    ),
    "analyses.cancel_analysis_run": _cancels("run", lambda client, pk: client.analyses.cancel_analysis_run(pk)),
    "analyses.copy": _copy,
    "analyses.data_files": lambda scene: _lists_data_files(scene.client.analyses.data_files(scene.completed)),
    "analyses.storage_links": _links,
    "analyses.sub_task_list": _sub_tasks,
    "analyses.combine": _combine,
    "task_status.get": _sub_tasks,
    "task_status.search": _find_sub_tasks,
    "task_status.create": lambda scene: refused(lambda: scene.client.task_status.create({}), 400, NOT_OFFERED),
    "task_status.delete": lambda scene: refused(
        lambda: scene.client.task_status.delete(scene.failed_sub_task()), 400, NOT_OFFERED
    ),
    "healthcheck": lambda scene: _says_ok(scene.client.healthcheck()),
    "healthcheck_connections": lambda scene: _says_ok(scene.client.healthcheck_connections()),
    "server_info": _server_info,
    "oed_peril_codes": _peril_codes,
    "queue": _queue,
    "queue_status": _queue_status,
    "upload_inputs": _upload_inputs,
    "upload_portfolio_file": _upload_portfolio_file,
    "upload_portfolio_reporting_currency": _upload_currency,
    "upload_settings": _upload_settings,
    "get_currency_conversion": _currency_table,
    "create_analysis": lambda scene: scene.fresh("analyses"),
    "run_generate": _generated,
    "run_analysis": _ran,
    "reconnect": _reconnect,
    "download_output": _download_output,
    "cancel_generate": _cancels("generate", lambda client, pk: client.cancel_generate(pk)),
    "cancel_analysis": _cancels("run", lambda client, pk: client.cancel_analysis(pk)),
}

LACKED: Final[Mapping[str, frozenset[str]]] = {
    "2.4.5": frozenset(
        {
            "analyses.chunking_configuration",
            "analyses.combine",
            "analyses.input_file_tar_extract",
            "analyses.input_file_tar_list",
            "analyses.output_file_tar_extract",
            "analyses.output_file_tar_list",
            "analyses.run_progress",
            "get_currency_conversion",
            "healthcheck_connections",
            "models.setting_templates",
            "models.storage_links",
            "portfolios.currency_conversion_json",
            "portfolios.errors_file",
            "portfolios.exposure_run",
            "portfolios.exposure_transform",
            "portfolios.reporting_currency",
            "portfolios.validate",
            "queue",
            "queue_status",
            "reconnect",
            "task_status.retry_log",
            "upload_portfolio_reporting_currency",
        }
    ),
}
"""Methods, and endpoints with all their methods, that a version does not have yet."""


MISTAKEN: Final[Mapping[str, frozenset[str]]] = {
    "2.4.5": frozenset({"analyses.settings_file.upload", "analyses.settings_file.upload_byte"}),
}
"""Methods with which a version sends JSON and says that it is csv."""


def calls_of(version: str) -> dict[str, Call]:
    """Return the calls of the methods that a version has."""
    lacked, mistaken = LACKED.get(version, frozenset()), MISTAKEN.get(version, frozenset())
    return {
        name: _refused(call) if name in mistaken else call
        for name, call in CALLS.items()
        if not _beginnings(name) & lacked
    }


def _refused(call: Call) -> Call:
    return lambda scene: refused(lambda: call(scene), NO_SUCH_TYPE)


def _beginnings(name: str) -> set[str]:
    """Return ``a``, ``a.b`` and ``a.b.c`` for ``a.b.c``."""
    return set(itertools.accumulate(name.split("."), "{}.{}".format))
