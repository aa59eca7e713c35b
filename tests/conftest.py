"""Fixtures that more than one test file uses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from workshop import Workshop

from intaglio.codegen.sources.pull import BUILT_IN, resolve_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# a machine may be busy: no test asserts a time
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# what makes graphs, or a model to make them of
COMPILING = {"workshop", "smollm2"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take these fixtures, themselves or by another, are marked `compiles`."""
    for item in items:
        if COMPILING & set(getattr(item, "fixturenames", ())):
            item.add_marker("compiles")


@pytest.fixture(scope="session")
def workshop(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Tiny models, bundles and sessions; compiled graphs are kept in pytest's cache folder."""
    compile_cache = pytestconfig.rootpath / pytestconfig.getini("cache_dir") / "intaglio"
    return Workshop(compile_cache, tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct, pulled into the user's cache if it is not there."""
    return resolve_model(BUILT_IN)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window; skips where it is not installed."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()
