"""Every name that users of the reference platform know is in effect here, or known to have no effect; and no other."""

import pytest

from qanat.configuration.base import names_of
from qanat.configuration.names import WITHOUT_GLOBAL_FORM, Names, Place
from qanat.configuration.report import COMMANDS, PROCESSES, is_known
from qanat.configuration.unused import ALL, UNUSED
from tests.unit.configuration.platform_names import ENVIRONMENT_ONLY, SECTIONS, VARIABLES

KEYS = {(section, key) for section, keys in SECTIONS.items() for key in keys.split()}
BESIDES = {
    ("server", "AZURE_ENDPOINT_URL"),
    ("server", "AZURE_SAS_TOKEN"),
    ("server", "INGRESS_INTERNAL_HOST"),
    ("server", "OIDC_ISSUER"),
    ("server", "OIDC_REDIRECT_ORIGINS"),
    ("server", "OIDC_VERIFY_SSL"),
}
"""Keys that the contract has not; they are spelled as if it had."""


def used() -> list[Names]:
    return [names for settings in PROCESSES.values() for names in names_of(settings).values()]


@pytest.mark.parametrize(("section", "key"), sorted(KEYS))
def test_a_key_is_known_in_all_its_forms(section: str, key: str) -> None:
    assert is_known(f"OASIS_{section.replace('.', '_').upper()}_{key}")
    if key not in ENVIRONMENT_ONLY:
        assert is_known(Place(section, key))
    if section not in WITHOUT_GLOBAL_FORM and key != "ANY_OPTION":
        assert is_known(f"OASIS_{key}")


@pytest.mark.parametrize("variable", VARIABLES.split())
def test_a_variable_is_known(variable: str) -> None:
    assert is_known(variable)


def test_no_key_is_known_that_the_contract_has_not() -> None:
    known = {(names.key.section, names.key.name) for names in used() if names.key}
    known |= {(entry.section, name) for entry in UNUSED if entry.section for name in entry.names if name != ALL}

    assert known - KEYS == BESIDES


def test_no_variable_is_known_that_the_contract_has_not() -> None:
    known = {variable for names in used() for variable in names.bare} | set(COMMANDS)
    known |= {name for entry in UNUSED if not entry.section for name in entry.names}

    assert {name for name in known if not name.startswith("QANAT_")} - set(VARIABLES.split()) == {
        "MODEL_SETTINGS_FILE",
        "OASISLMF_CONFIG",
    }


def test_what_is_in_effect_is_not_said_to_be_without() -> None:
    in_effect = {(names.key.section, names.key.name) for names in used() if names.key}
    without = [(entry.section, name) for entry in UNUSED for name in entry.names]

    assert len(set(without)) == len(without)
    assert in_effect & set(without) == set()
