"""ARCHITECTURE.md shows the tree as it is."""

import re

from tests.conftest import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()


def test_every_package_stands_in_the_tree() -> None:
    tree = PAGE.split("## The tree")[1].split("```")[1]
    packages = {
        folder.name
        for folder in (ROOT / "src" / "qanat").rglob("*")
        if folder.is_dir() and folder.name not in {"__pycache__", "migrations"}
    }

    shown = set(re.findall(r"\b([a-z_0-9]+)/", tree))

    assert packages - shown == set()


def test_every_module_that_is_named_exists() -> None:
    source = {path.relative_to(ROOT / "src" / "qanat").as_posix() for path in (ROOT / "src" / "qanat").rglob("*.py")}

    named = set(re.findall(r"`([a-z_0-9/]+\.py)`", PAGE))

    missing = {name for name in named if not any(path == name or path.endswith(f"/{name}") for path in source)}
    assert missing == set()


def test_every_link_leads_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
