"""OHIF, a viewer made by others, as npm brings it, in a real browser."""

from __future__ import annotations

import pytest
from pydicom.data import get_testdata_file
from selenium.webdriver.common.keys import Keys
from web.browser import chromium
from web.serving import image

from dicom_actors import read_file
from dicom_actors.archive import Archive
from dicom_actors.pixels import transcode
from dicom_actors.web import WebServer, WebSettings
from dicom_actors.web.tokens import Tokens, new_token

VERSION = "3.12"
LIMIT = 120.0
"""Seconds for 15 MB of script to be read, and an image to be drawn, before the test fails."""


@pytest.fixture(scope="module")
def browser():
    """A browser of its own, with WebGL."""
    started = chromium.start(has_webgl=True)
    try:
        yield started
    finally:
        chromium.stop(started)


@pytest.fixture(scope="session")
def viewer(tmp_path_factory):
    """The folder of the viewer; fails where the registry has none."""
    folder = tmp_path_factory.mktemp("ohif")
    # What is left out is a runtime of neural networks, half of the package.
    return chromium.npm_package("@ohif/app", VERSION, folder, without="/dist/ort/") / "dist"


def objects():
    """Uncompressed, JPEG-LS and of several frames, each a study of its own."""
    ct = read_file(get_testdata_file("CT_small.dcm"))
    yield "1.2.3", ct.copy(), {"PatientName": "Uncompressed"}
    yield "1.2.4", transcode(ct, "JPEGLSLossless"), {"PatientName": "Jpeg^Ls"}
    several = image(1, rows=64, columns=64, frames=5, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3")
    yield "1.2.5", several, {"PatientName": "Several^Frames", "Modality": "OT"}


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A token for reading, and the tokens of the server."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    token, line = new_token("viewer")
    path.write_text(line)
    return token, Tokens(path)


@pytest.fixture(scope="module")
def server(viewer, token, tmp_path_factory):
    settings = WebSettings(drain_timeout=1.0)
    with Archive.open(tmp_path_factory.mktemp("archive"), durability="os") as archive:
        for study, one, values in objects():
            for keyword, value in values.items():
                one.put(keyword, None, value)
            one.StudyInstanceUID, one.SeriesInstanceUID = study, f"{study}.1"
            one.SOPInstanceUID = f"{study}.1.1"
            archive.add(one)
        with WebServer.start(
            archive, port=0, settings=settings, viewer=str(viewer), tokens=token[1]
        ) as server:
            yield server.url


def shades(page):
    """How many shades the picture of the viewport has, but for what is written on it."""
    script = """
        const canvas = document.querySelector(".cornerstone-canvas");
        if (!canvas || !canvas.width || canvas === window.before) return 0;
        const small = document.createElement("canvas");
        small.width = small.height = 64;
        const context = small.getContext("2d");
        context.drawImage(canvas, 0, 0, 64, 64);
        const { data } = context.getImageData(16, 16, 32, 32);
        return new Set(data.filter((_, at) => at % 4 === 0)).size;
    """
    return page.run(script)


@pytest.mark.usefixtures("screenshots")
def test_the_list_of_studies_and_an_image_of_each_kind(browser, server, token):
    page = chromium.Page(browser, server, LIMIT)
    browser.get(f"{server}#/study/1.2.3")
    # It is let in as the page is that was shown a token: nobody tells it one.
    page.type("#token-input", token[0])
    page.keys(Keys.ENTER)
    page.until(lambda: page.is_visible("#study-viewer"))
    link = page.find("#study-viewer").get_attribute("href")
    assert link == f"{server}viewer/viewer?StudyInstanceUIDs=1.2.3"
    browser.get(f"{server}viewer/")
    for name in ("Uncompressed", "Ls", "Frames"):
        page.until(lambda name=name: name in page.text("body"), name)
    for study in ("1.2.3", "1.2.4", "1.2.5"):
        # As by its links: without loading it anew, which takes seconds. The canvas is another one.
        page.run(
            "window.before = document.querySelector('.cornerstone-canvas');"
            "history.pushState({}, '', arguments[0]);"
            "dispatchEvent(new PopStateEvent('popstate', {state: {}}))",
            f"/viewer/viewer?StudyInstanceUIDs={study}",
        )
        page.until(lambda: shades(page) > 8, f"an image of {study}")
    browser.get("about:blank")
