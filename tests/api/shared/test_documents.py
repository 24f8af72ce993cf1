"""The pages that show the API to people, the documents behind them, and the perils that exposure may name."""

import json

import pytest
import yaml

from tests.api.caller import BAD_REQUEST, FORBIDDEN, NOT_FOUND, OK, Answer, Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def anybody() -> Caller:
    """A client that has not logged in."""
    return Caller(None, prefix="api")


def document(answer: Answer) -> dict[str, dict[str, object]]:
    assert answer.code == OK
    found: dict[str, dict[str, object]] = json.loads(answer.content)
    return found


@pytest.mark.parametrize("prefix", ["", "api"])
@pytest.mark.parametrize("of", ["", "v1/", "v2/"])
def test_a_page_shows_the_document_beside_it(of: str, prefix: str) -> None:
    page = Caller(None, prefix=prefix).get(of)

    assert page.code == OK
    assert page.headers["Content-Type"].startswith("text/html")
    assert b'"schema/?format\\u003Djson"' in page.content


def test_the_page_brings_its_scripts_along(anybody: Caller) -> None:
    page = anybody.get("").content.decode()
    sources = [part.split('"')[0] for part in page.split('src="')[1:]]

    assert sources
    for source in sources:
        assert source.startswith("/api/static/")
        assert anybody.get(source.removeprefix("/api/")).code == OK


@pytest.mark.parametrize("path", ["../../../settings.py", "nothing.js", "admin/css/../../x"])
def test_there_are_no_other_files(anybody: Caller, path: str) -> None:
    assert anybody.get(f"static/{path}").code in {BAD_REQUEST, NOT_FOUND}


@pytest.mark.parametrize("of", ["", "v1/", "v2/"])
def test_a_document_is_yaml_or_json_as_asked(anybody: Caller, of: str) -> None:
    plain, named = anybody.get(f"{of}schema/"), anybody.get(f"{of}schema/", format="yaml")
    asked = anybody.get(f"{of}schema/", format="json")

    assert plain.headers["Content-Type"] == "application/vnd.oai.openapi"
    assert plain.content == named.content
    assert yaml.safe_load(plain.content) == document(asked)
    assert str(document(asked)["openapi"]).startswith("3.0")
    assert anybody.get(f"{of}schema/", format="xml").code == NOT_FOUND


def test_a_version_describes_itself_and_what_has_no_version(anybody: Caller) -> None:
    both, first, second = (set(document(anybody.get(f"{of}schema/?format=json"))["paths"]) for of in ("", "v1/", "v2/"))

    assert both == first | second
    assert not any(path.startswith("/api/v2/") for path in first)
    assert not any(path.startswith("/api/v1/") for path in second)
    assert "/api/healthcheck/" in first & second


def test_every_operation_says_how_to_log_in_or_that_one_need_not(anybody: Caller) -> None:
    paths = document(anybody.get("schema/?format=json"))["paths"]
    described = {(method, path): said for path, found in paths.items() for method, said in dict(found).items()}  # type: ignore[call-overload]

    needless = {(method, path) for (method, path), said in described.items() if said["security"] == [{}]}

    assert all(not path.startswith(("/api/v1/", "/api/v2/")) for _, path in needless)
    assert ("post", "/api/access_token/") in needless
    assert len({said["operationId"] for said in described.values()}) == len(described)


def test_what_needs_no_log_in_is_told_to_anybody_and_the_rest_is_not(anybody: Caller) -> None:
    codes = {path: anybody.get(path).code for path in ("healthcheck/", "oed_peril_codes/", "server_info/", "v2/queue/")}

    assert codes == {"healthcheck/": OK, "oed_peril_codes/": OK, "server_info/": FORBIDDEN, "v2/queue/": FORBIDDEN}


def test_perils_are_those_of_open_exposure_data(anybody: Caller) -> None:
    perils = anybody.get("oed_peril_codes/").body

    assert set(perils) == {"peril_codes", "peril_groups"}
    assert perils["peril_codes"]["WTC"] == {"desc": "Strong wind from Tropical Cyclone"}
    assert perils["peril_groups"]["ZZ1"]["peril_ids"] == ["ZSN", "ZIC", "ZFZ", "ZST"]
    assert set(perils["peril_groups"]["AA1"]["peril_ids"]) == set(perils["peril_codes"])
