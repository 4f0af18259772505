"""One browser for all tests of pages; a picture of it where a test fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from web.browser import chromium

SCREENSHOTS = "DICOM_ACTORS_SCREENSHOTS"
"""The variable of the environment that names the folder of pictures."""


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    """The browser."""
    started = chromium.start()
    try:
        yield started
    finally:
        chromium.stop(started)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    chosen = os.environ.get(SCREENSHOTS)
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Take a picture while the page still shows what went wrong."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and "browser" in funcargs:
        name = re.sub(r"\W+", "-", item.name).strip("-")
        path = funcargs["screenshots"] / f"{name}.png"
        try:
            funcargs["browser"].save_screenshot(str(path))
            report.sections.append(("picture of the page", str(path)))
        except Exception as error:
            report.sections.append(("picture of the page", f"none: {error}"))
    return report


@pytest.fixture
def quiet(browser: webdriver.Chrome, screenshots: Path) -> Iterator[list[str]]:
    """The console says nothing, but for what is put in here."""
    del screenshots
    browser.get("about:blank")
    browser.get_log("browser")
    expected = chromium.Page(browser, "").expected
    yield expected
    page = chromium.Page(browser, "")
    page.expected = expected
    said = page.complaints()
    page.emulate()
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    browser.get("about:blank")
    assert not said, said
