"""The demonstration as it is written to disk, once for all tests."""

from pathlib import Path

import pytest

from qanat.demo.model import write_model
from qanat.demo.portfolio import DemoPortfolio, write_portfolio


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the demonstration model."""
    directory = tmp_path_factory.mktemp("model")
    write_model(directory)
    return directory


@pytest.fixture(scope="session")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> DemoPortfolio:
    """Return the files of the demonstration portfolio."""
    return write_portfolio(tmp_path_factory.mktemp("portfolio"))
