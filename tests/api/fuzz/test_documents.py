"""What the OpenAPI documents say holds for whatever is sent: no error of the server, no other answer.

The suite makes up 2,000 requests, ``make fuzz`` 20,000. Every operation gets its share: half of them as described, half
with something wrong. Then operations are chained by their links: created, read, changed, deleted.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from rest_framework_simplejwt.tokens import AccessToken
from schemathesis import Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import VERSIONS
from tests.api.fuzz.world import World, make_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CASES: Final = int(os.environ.get("QANAT_FUZZ_CASES", "2000"))
IN_CHAINS: Final = 0.1
"""The part of the requests that are chained."""
STEPS_OF_A_CHAIN: Final = 10
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MADE_UP: Final = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


@pytest.fixture
def world(version: str, db: None) -> World:
    """One row of each kind."""
    return make_world(version)


@pytest.fixture
def connected(db: None) -> Iterator[None]:
    """Let no request close the connection in whose transaction the test is, as Django's own client for tests does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def described(version: str, world: World, connected: None) -> BaseSchema:
    """The document of a version, bound to the server that it describes."""
    serve = get_wsgi_application()

    def server(environ: dict[str, Any], start_response: Any) -> list[bytes]:  # noqa: ANN401 - of WSGI
        """Send an answer to its end and close it, as a server does and the library does not."""
        with closing(serve(environ, start_response)) as answer:
            return list(answer)

    return schemathesis.openapi.from_wsgi(f"/api/{version}/schema/?format=json", server)


@pytest.fixture
def headers(world: World) -> dict[str, str]:
    """A login."""
    return {"Authorization": f"Bearer {AccessToken.for_user(world.user)}"}


@contextmanager
def undone() -> Iterator[None]:
    """Leave the world as it was."""
    point = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(point)


def lead_somewhere(case: Case[Any], world: World, data: st.DataObject) -> None:
    """Let most ids be those of rows: of all numbers, hardly any is."""
    words = case.operation.path.split("/")
    for name in case.path_parameters or {}:
        known = world.ids[words[words.index(f"{{{name}}}") - 1]]
        if data.draw(st.integers(0, 3)):
            case.path_parameters[name] = data.draw(st.sampled_from(known))


def told(failure: BaseException) -> str:
    """Return what went wrong, without the group around it."""
    parts = failure.exceptions if isinstance(failure, BaseExceptionGroup) else [failure]
    return "\n".join(f"{type(part).__name__}: {part}" for part in parts)


def test_every_operation_answers_as_described(described: BaseSchema, world: World, headers: dict[str, str]) -> None:
    operations = [found.ok() for found in described.get_all_operations() if isinstance(found, Ok)]
    share = max(1, int(CASES * (1 - IN_CHAINS) / len(VERSIONS) / len(GenerationMode) / len(operations)))

    def make_up(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
        @settings(MADE_UP, max_examples=share)
        @given(data=st.data())
        def answers(data: st.DataObject) -> None:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            lead_somewhere(case, world, data)
            with undone():
                case.call_and_validate(headers=headers, checks=CHECKS)

        answers()

    failures = []
    for operation in operations:
        for mode in GenerationMode:
            try:
                make_up(operation, mode)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "only what takes nothing cannot be given it wrong"
            except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 - the other operations have their turn too
                failures.append(f"{operation.label}, {mode.value}: {told(failure)}")
    assert not failures, "\n\n".join(failures)


def test_what_was_created_can_be_used(described: BaseSchema, headers: dict[str, str]) -> None:
    class Chain(described.as_state_machine()):  # type: ignore[misc] # it is made while the test runs
        def setup(self) -> None:
            # Which links a chain can follow depends on what it finds: the same chain must find the same each time.
            self.world_before = ExitStack()
            self.world_before.enter_context(undone())

        def teardown(self) -> None:
            self.world_before.close()

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"headers": headers}

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            case.validate_response(response, checks=CHECKS)

    chains = max(1, int(CASES * IN_CHAINS / len(VERSIONS) / STEPS_OF_A_CHAIN))

    run_state_machine_as_test(
        Chain, settings=settings(MADE_UP, max_examples=chains, stateful_step_count=STEPS_OF_A_CHAIN)
    )
