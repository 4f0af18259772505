"""Debian's chromium, driven by selenium, as a person uses a page."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

LIMIT = 60.0
"""Seconds that any wait may take before the test fails."""
_POLL = 0.05

_SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # root may have none
    "--disable-dev-shm-usage",
    "--window-size=1400,1000",
    "--lang=en-US",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
)
_READBACK = "Canvas2D: Multiple readback"  # which is what tests do
_GRAPHICS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""WebGL by the processor."""


def start(*, has_webgl: bool = False) -> webdriver.Chrome:
    """Start it; fails where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail("no browser: the packages chromium and chromium-driver have to be installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in (*_SWITCHES, *(_GRAPHICS if has_webgl else ("--disable-gpu",))):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


def stop(browser: webdriver.Chrome) -> None:
    """End it."""
    # To be told to end leaves a socket open; the process is ended all the same.
    browser.service.send_remote_shutdown_command = lambda: None
    browser.quit()
    browser.command_executor.close()


def npm_package(name: str, version: str, folder: Path, without: str = " ") -> Path:
    """Fetch a package from npm, and unpack it; fails where the registry has none.

    Args:
        name: of the package.
        version: which.
        folder: where to.
        without: what is left out: files whose paths have this in them.
    """
    beside = Path(sys.executable).parent / "npm"
    npm = shutil.which("npm") or (str(beside) if beside.exists() else None)
    if npm is None:
        pytest.fail("no npm: it comes with the extra `test`")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [npm, "pack", f"{name}@{version}", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=_with_path(npm),
    )
    if done.returncode != 0:
        pytest.fail(f"npm has no {name}@{version}: {done.stderr[-2000:]}")
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        wanted = [one for one in archive if without not in one.name]
        archive.extractall(folder, wanted, filter="data")
    packed.unlink()
    return folder / "package"


def _with_path(npm: str) -> dict[str, str]:
    import os

    return {**os.environ, "PATH": f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


class Page:
    """The page in a browser."""

    def __init__(self, browser: webdriver.Chrome, url: str, limit: float = LIMIT) -> None:
        self.browser = browser
        self.limit = limit
        self.url = url
        self.expected: list[str] = [_READBACK]
        """Parts of what the console may say."""

    def open(self, where: str = "") -> None:
        """Load it, and wait until it is ready."""
        self.browser.get("about:blank")
        self.browser.get(f"{self.url}{where}")
        self.until(lambda: self.run("return document.documentElement.dataset.ready === 'yes'"))

    def go(self, where: str) -> None:
        """Go somewhere within the page."""
        self.run("location.hash = arguments[0]", where)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def until(self, is_true: Callable[[], Any], why: str = "") -> Any:
        wait = WebDriverWait(self.browser, self.limit, _POLL)
        return wait.until(lambda _: is_true(), why)

    def find(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.innerText", selector))

    def shows(self, selector: str, text: str) -> None:
        """Wait until an element has a text."""
        self.until(
            lambda: self.is_visible(selector) and text in self.text(selector),
            f"{text!r} in {selector}",
        )

    def is_visible(self, selector: str) -> bool:
        return bool(
            self.run("return document.querySelector(arguments[0])?.checkVisibility()", selector)
        )

    def click(self, selector: str) -> None:
        self.until(lambda: self.is_visible(selector) and self.find(selector).is_enabled(), selector)
        self.find(selector).click()

    def type(self, selector: str, text: str) -> None:
        self.until(lambda: self.is_visible(selector), selector)
        self.find(selector).send_keys(text)

    def keys(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def rows(self, selector: str = "#studies-body tr") -> list[str]:
        """The texts of rows that are there."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].filter(one => one"
            ".checkVisibility()).map(one => [...one.children].map(cell => cell.innerText)"
            ".join('|'))"
        )
        return list(self.run(script, selector))

    def emulate(self, *, dark: bool = False, width: int = 0) -> None:
        """Look as on another device."""
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        if width:
            metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
            self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        else:
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def drop(self, selector: str, files: dict[str, bytes]) -> None:
        """Drop files on an element."""
        script = """
            const [element, files] = arguments;
            const transfer = new DataTransfer();
            for (const [name, data] of Object.entries(files)) {
              const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
              transfer.items.add(new File([bytes], name));
            }
            for (const kind of ["dragenter", "dragover", "drop"]) {
              element.dispatchEvent(new DragEvent(kind, {
                bubbles: true, cancelable: true, dataTransfer: transfer }));
            }
        """
        encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
        self.run(script, self.find(selector), encoded)

    def frame(self) -> int:
        """Which image is drawn, from 1; 0: none."""
        return int(self.find("#canvas").get_attribute("data-frame") or 0)

    def drawn(self, rows: int, columns: int) -> list[list[int]]:
        """The shades of the pixels of an image that is drawn as large as it can be."""
        script = """
            const [rows, columns] = arguments;
            const canvas = document.getElementById("canvas");
            const scale = Math.min(canvas.width / columns, canvas.height / rows);
            const left = (canvas.width - columns * scale) / 2;
            const top = (canvas.height - rows * scale) / 2;
            const context = canvas.getContext("2d");
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            const at = (row, column) => {
              const x = Math.floor(left + (column + 0.5) * scale);
              const y = Math.floor(top + (row + 0.5) * scale);
              return data[(y * canvas.width + x) * 4];
            };
            return Array.from({ length: rows }, (_, row) =>
              Array.from({ length: columns }, (_, column) => at(row, column)));
        """
        return list(self.run(script, rows, columns))

    def complaints(self) -> list[str]:
        """What the console said since it was last asked, but for what is expected."""
        said = [
            json.dumps(entry)
            for entry in self.browser.get_log("browser")
            if entry["level"] in {"SEVERE", "WARNING"}
        ]
        return [one for one in said if not any(part in one for part in self.expected)]
