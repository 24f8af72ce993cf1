"""A server in memory that speaks as much of the HTTP contract as ``qanat run`` asks for."""

import io
import re
import tarfile
from dataclasses import dataclass, field
from typing import Any

import httpx

PALT = "SummaryId,SampleType,MeanLoss,SDLoss\n1,1,90.0,1.0\n1,2,100.5,1.0\n"
EPT = "SummaryId,EPCalc,EPType,ReturnPeriod,Loss\n1,2,1,100.0,1500.0\n1,2,3,100.0,1800.0\n1,1,1,100.0,9.0\n"


def archive(tables: dict[str, str]) -> bytes:
    """Return an output archive with tables."""
    paper = io.BytesIO()
    with tarfile.open(fileobj=paper, mode="w:gz") as tar:
        for name, text in tables.items():
            member = tarfile.TarInfo(f"output/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return paper.getvalue()


@dataclass
class PlatformInMemory:
    """One analysis of one model; each look at it brings it one status further."""

    inputs: list[str] = field(default_factory=lambda: ["INPUTS_GENERATION_STARTED", "READY"])
    losses: list[str] = field(default_factory=lambda: ["RUN_STARTED", "RUN_COMPLETED"])
    files: dict[str, bytes] = field(
        default_factory=lambda: {"output_file": archive({"gul_S1_palt.csv": PALT, "gul_S1_ept.csv": EPT})}
    )
    models: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"id": 1, "supplier_id": "Acme", "model_id": "Wind", "version_id": "1", "run_mode": "V2"},
            {"id": 2, "supplier_id": "Acme", "model_id": "Flood", "version_id": "1", "run_mode": "V1"},
            {"id": 3, "supplier_id": "Acme", "model_id": "Flood", "version_id": "2", "run_mode": "V1"},
        ]
    )
    calls: list[str] = field(default_factory=list)
    """What was asked for, but for looks at the status."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    waiting_for: str = ""
    """Why the analysis waits, as ours says it."""
    interrupt: bool = False
    """Whether the user presses Ctrl-C at the next look."""
    _coming: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        path = request.url.path.removeprefix("/v2/")
        if request.method == "POST":
            asked = f"{path}?{request.url.query.decode()}".rstrip("?")
            self.calls.append(asked)
            self.bodies[path] = request.read()
            return self._post(path)
        if path == "models/":
            return httpx.Response(200, json=self.models)
        if path == "analyses/5/":
            if self.interrupt:
                raise KeyboardInterrupt
            reason = {"reason": "NO_WORKER", "message": self.waiting_for} if self.waiting_for else None
            numbers = {"num_events_total": 0, "num_events_complete": 0}
            return httpx.Response(200, json={"status": self._coming.pop(0), "waiting_for": reason, **numbers})
        if path == "analyses/5/sub_task_list/":
            return httpx.Response(200, json=[{"name": "Losses 1", "status": "COMPLETED"}])
        found = re.fullmatch(r"analyses/5/(\w+)/", path)
        content = self.files.get(found[1]) if found else None
        return (
            httpx.Response(404, json={"detail": "Not found."})
            if content is None
            else httpx.Response(200, content=content)
        )

    def _post(self, path: str) -> httpx.Response:
        if path.endswith("access_token/"):
            return httpx.Response(200, json={"access_token": "a", "refresh_token": "b"})
        if path == "portfolios/":
            return httpx.Response(201, json={"id": 4, "name": "its name"})
        if path == "analyses/":
            return httpx.Response(201, json={"id": 5})
        if path.endswith("generate_inputs/"):
            self._coming = list(self.inputs)
        if path.endswith("/run/"):
            self._coming = list(self.losses)
        return httpx.Response(200, json={"id": 5})
