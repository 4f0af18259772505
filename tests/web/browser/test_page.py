"""The page, in a real browser."""

from __future__ import annotations

import contextlib
import zipfile
from datetime import datetime

import numpy as np
import pytest
from kit import dcmtk
from kit.waiting import until
from pydicom import dcmread
from pydicom.data import get_testdata_file
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from starlette.responses import JSONResponse
from starlette.routing import Route
from web.browser import chromium
from web.serving import file_of, image

from dicom_actors import Endpoint, connect, messages, read_directory, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.index.queueing import QueueStatus
from dicom_actors.errors import AssociationError
from dicom_actors.pixels import render
from dicom_actors.testing import crash_at
from dicom_actors.web import WebServer, WebSettings
from dicom_actors.web.tokens import Tokens, new_token

FAST = WebSettings(drain_timeout=1.0, allow_delete=True)


@contextlib.contextmanager
def site(folder, *objects, settings=FAST, **named):
    """An archive with an endpoint and a web server."""
    with Archive.open(folder, durability="os") as archive:
        for one in objects:
            archive.add(one)
        endpoint = Endpoint.start(port=0, event_handlers=archive.event_handlers())
        try:
            archive.attach(endpoint)
            with WebServer.start(
                archive, port=0, settings=settings, endpoint=endpoint, **named
            ) as server:
                yield server.url, endpoint, archive
        finally:
            endpoint.stop()


@pytest.fixture
def page(browser, quiet, tmp_path):
    """Makes the page of an archive with these objects; the last one ends with the test."""
    with contextlib.ExitStack() as stack:

        def make(*objects, where="", **named):
            url, endpoint, archive = stack.enter_context(
                site(tmp_path / "archive", *objects, **named)
            )
            stack.callback(browser.get, "about:blank")  # before the server ends
            page = chromium.Page(browser, url)
            page.endpoint, page.archive = endpoint, archive
            page.expected = quiet
            if "tokens" not in named:
                page.open(where)
            return page

        yield make


def port_of(page):
    return page.endpoint.ask(messages.GetStatus()).port


def send(page, *objects):
    with connect("127.0.0.1", port_of(page), called="ANY") as association:
        for one in objects:
            assert association.store(file_of(one))


def study(number, **values):
    """An object of a study of its own."""
    return image(1, study=f"1.2.{number}", PatientID=f"P{number}", **values)


# --- studies -------------------------------------------------------------------------------


def test_what_was_just_sent_is_shown_without_a_reload(page):
    page = page()
    page.shows("#studies-empty", "no studies yet")
    page.run("window.isSame = true")
    page.until(lambda: page.text("#link-text") == "live")

    done = dcmtk.run("storescu", "127.0.0.1", port_of(page), get_testdata_file("CT_small.dcm"))
    assert done.returncode == 0, done.stderr

    page.shows("#studies-body", "CompressedSamples, CT1")
    (row,) = page.rows()
    assert row == "CompressedSamples, CT1|1CT1|2004-01-19|CT|e+1||1|1"
    assert "new study: CompressedSamples, CT1" in page.text("#status")
    page.shows("#studies-total", "1 study, 1 object")
    assert page.run("return window.isSame")


def test_a_series_that_grows_is_shown_as_it_grows(page):
    page = page(image(1), where="#/study/1.2.3")
    page.shows("#frame-text", "1 / 1")
    page.until(lambda: page.frame() == 1)
    send(page, image(2), image(3))
    page.shows("#frame-text", "1 / 3")
    page.shows("#series-list", "3 objects")


def test_search_while_typing(page):
    people = ("Doe^Jane", "Doe^John", "Roe^Max")
    objects = [
        study(at, PatientName=name, Modality=["CT", "MR", "US"][at])
        for at, name in enumerate(people)
    ]
    page = page(*objects)
    page.until(lambda: len(page.rows()) == 3)

    page.type('[name="PatientName"]', "doe j")
    page.until(lambda: len(page.rows()) == 2)
    page.type('[name="PatientName"]', "ane")
    page.until(lambda: [row.partition("|")[0] for row in page.rows()] == ["Doe, Jane"])
    page.type('[name="PatientName"]', "x")
    page.shows("#studies-empty", "No study matches.")
    page.click("#search-clear")
    page.until(lambda: len(page.rows()) == 3)
    page.type('[name="ModalitiesInStudy"]', "us")
    page.until(lambda: [row.partition("|")[0] for row in page.rows()] == ["Roe, Max"])
    page.shows("#page-text", "1 study")


def test_pages_of_studies(page):
    page = page(*(study(at, StudyDate=f"202401{at:02}") for at in range(1, 24)))
    Select(page.find("#page-size")).select_by_visible_text("10")
    page.shows("#page-text", "Studies 1 to 10")
    assert not page.find("#page-previous").is_enabled()
    seen = page.rows()
    assert "2024-01-23" in seen[0]  # the newest first
    for text in ("Studies 11 to 20", "Studies 21 to 23"):
        page.click("#page-next")
        page.shows("#page-text", text)
        page.until(lambda: not page.run("return document.querySelector('#studies.busy')"))
        seen += page.rows()
    assert not page.find("#page-next").is_enabled()
    assert len(set(seen)) == len(seen) == 23
    Select(page.find('[name="sort"]')).select_by_value("oldest")
    page.until(lambda: "2024-01-01" in page.rows()[0])


def test_names_of_patients_are_text_and_nothing_else(page):
    page = page(study(1, PatientName="<script>alert(1)</script>", StudyDescription="<b>x</b>"))
    page.until(lambda: "<script>alert(1)</script>|" in "".join(page.rows()))
    page.go("#/study/1.2.1")
    page.shows("#study-title", "<script>alert(1)</script>")
    page.shows("#tags-body", "<b>x</b>")


def test_a_study_is_deleted_once_that_is_confirmed(page):
    page = page(study(1), study(2))
    page.until(lambda: len(page.rows()) == 2)
    page.go("#/study/1.2.1")
    page.click("#study-delete")
    page.shows("#confirm-text", "1 object will be deleted")
    page.click("#confirm-cancel")
    assert page.archive.counts().studies == 2
    page.click("#study-delete")
    page.click("#confirm-go")
    page.until(lambda: len(page.rows()) == 1)
    assert page.archive.counts().studies == 1


def test_a_study_is_downloaded_as_a_file_set(page, browser, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    objects = [image(1), image(2), image(1, series="1.2.3.2", SeriesNumber=2)]
    page = page(*objects, where="#/study/1.2.3")
    behavior = {"behavior": "allow", "downloadPath": str(folder)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
    page.shows("#study-title", "Doe, John")
    page.click("#study-download")
    until(lambda: [one.suffix for one in folder.iterdir()] == [".zip"])  # and no part of it
    (path,) = folder.iterdir()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "media")
    found = [dcmread(one) for one in read_directory(tmp_path / "media" / "DICOMDIR").files()]
    assert {one.SOPInstanceUID for one in found} == {one.SOPInstanceUID for one in objects}
    assert len(dcmread(tmp_path / "media" / "DICOMDIR").DirectoryRecordSequence) == 7

    page.click("#study-download-clean")
    until(lambda: [one.suffix for one in folder.iterdir()] == [".zip", ".zip"])
    with zipfile.ZipFile(folder / "deidentified.zip") as archive:
        names = archive.namelist()
        assert len(names) == len(objects) + 2
        assert not any(b"Doe" in archive.read(name) for name in names)


# --- uploads -------------------------------------------------------------------------------


def test_files_are_uploaded_by_drop_and_by_choice(page, tmp_path):
    page = page()
    page.shows("#studies-empty", "no studies yet")
    files = {f"{at}.dcm": file_of(image(at)) for at in range(1, 46)}
    page.drop("main", {**files, "notes.txt": b"nothing"})
    page.shows("#uploads-text", "45 objects stored, 1 refused")
    assert page.text("#uploads-problems") == "notes.txt: it is no DICOM file"
    assert page.find("#uploads-progress").get_attribute("value") == "1"
    page.until(lambda: page.rows() and page.rows()[0].endswith("|1|45"))

    other = tmp_path / "other.dcm"
    other.write_bytes(file_of(study(7)))
    different = tmp_path / "different.dcm"
    different.write_bytes(file_of(image(1, PatientName="Roe^Max")))
    page.run("document.getElementById('upload-input').hidden = false")
    page.find("#upload-input").send_keys(str(other))
    page.shows("#uploads-text", "1 object stored")
    page.until(lambda: len(page.rows()) == 2)
    page.expected.append("409")
    page.find("#upload-input").send_keys(str(different))
    page.shows("#uploads-problems", "different.dcm: another object with its UID is stored already")
    assert page.archive.counts().instances == 46


# --- images --------------------------------------------------------------------------------

ROWS, COLUMNS = 12, 16
VALUES = {
    "as it is": {},
    "window": {"WindowCenter": 100, "WindowWidth": 150},
    "window of one": {"WindowCenter": 80, "WindowWidth": 1},
    "rescaled": {
        "RescaleSlope": 2,
        "RescaleIntercept": -100,
        "WindowCenter": "40",
        "WindowWidth": "200",
    },
    "signed": {
        "PixelRepresentation": 1,
        "PixelData": np.arange(-96, 96, dtype="<i2").tobytes(),
        "WindowCenter": "0",
        "WindowWidth": "150",
    },
    "dark is high": {"PhotometricInterpretation": "MONOCHROME1"},
    "sigmoid": {"WindowCenter": "90", "WindowWidth": "70", "VOILUTFunction": "SIGMOID"},
    "exact": {"WindowCenter": "90", "WindowWidth": "70", "VOILUTFunction": "LINEAR_EXACT"},
    "padded": {"PixelPaddingValue": 1},
    "eight bits": {
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelData": bytes(range(192)),
    },
    "bits above": {
        "PixelData": (np.arange(192, dtype="<u2") | 0x7000).tobytes(),
    },
    "a table": {
        "WindowCenter": "100",
        "WindowWidth": "100",
        "ModalityLUTSequence": [
            {
                "LUTDescriptor": [256, 0, 8],
                "LUTData": bytes(range(255, -1, -1)),
                "ModalityLUTType": "US",
            }
        ],
    },
    "an overlay": {
        0x60000010: ROWS,
        0x60000011: COLUMNS,
        0x60000040: "G",
        0x60000050: [2, 1],
        0x60000100: 1,
        0x60000102: 0,
        0x60003000: bytes([0x0F, 0x80] * (ROWS - 2) + [0] * 4),
    },
}
VRS = {0x60000010: "US", 0x60000011: "US", 0x60000040: "CS", 0x60000050: "SS", 0x60000100: "US"}


def picture(number, kind):
    values = {key: value for key, value in VALUES[kind].items() if isinstance(key, str)}
    made = image(number, rows=ROWS, columns=COLUMNS, SeriesDescription=kind, **values)
    for key, value in VALUES[kind].items():
        if not isinstance(key, str):
            made.put(key, VRS.get(key, "US" if key == 0x60000102 else "OW"), value)
    return made


def test_images_look_as_they_should(page):
    objects = [picture(number, kind) for number, kind in enumerate(VALUES, 1)]
    page = page(*objects, where="#/study/1.2.3")
    page.shows("#frame-text", f"1 / {len(objects)}")
    page.find("#stage").click()
    for number, (kind, one) in enumerate(zip(VALUES, objects, strict=True), 1):
        page.until(lambda number=number: page.frame() == number)
        wanted = np.asarray(render(one)).astype(int)
        seen = np.array(page.drawn(ROWS, COLUMNS))
        # What the server renders comes as JPEG.
        most = 12 if kind == "a table" else 1
        assert np.abs(seen - wanted).max() <= most, kind
        page.keys(Keys.ARROW_DOWN)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE.dcm", "693_J2KI.dcm", "JPGExtended.dcm", "emri_small_jpeg_ls_lossless.dcm"],
)
def test_compressed_images_are_shown(page, name):
    one = read_file(get_testdata_file(name))
    if "StudyInstanceUID" not in one or not one.StudyInstanceUID:
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    page = page(one, where=f"#/study/{one.StudyInstanceUID}")
    page.until(lambda: page.frame() == 1)
    wanted = np.asarray(render(one))
    if max(wanted.shape[:2]) <= 128:
        seen = np.array(page.drawn(*wanted.shape[:2]))
        assert np.abs(seen - wanted.astype(int)).max() <= 1
    else:
        assert len(set(np.ravel(page.drawn(64, 64)))) > 10


def test_colors_frames_and_cine(page):
    page = page(get_testdata_file("color3d_jpeg_baseline.dcm"))
    page.click("#studies-body a")
    page.shows("#frame-text", "1 / 120")
    page.until(lambda: page.frame() == 1)
    first = page.drawn(48, 64)
    assert len(set(np.ravel(first))) > 10
    page.find("#stage").click()
    page.keys(" ")
    page.until(lambda: page.frame() >= 4)
    assert page.find("#play").get_attribute("aria-pressed") == "true"
    page.keys(" ")
    assert page.find("#play").get_attribute("aria-pressed") == "false"
    page.keys(Keys.END)
    page.until(lambda: page.frame() == 120)
    assert page.drawn(48, 64) != first


def test_frames_windows_and_zoom_by_mouse_and_keys(page):
    objects = [image(at, rows=ROWS, columns=COLUMNS) for at in range(1, 21)]
    page = page(*objects, where="#/study/1.2.3")
    page.until(lambda: page.frame() == 1)
    stage = page.find("#stage")
    origin = ScrollOrigin.from_element(stage)
    ActionChains(page.browser).scroll_from_origin(origin, 0, 180).perform()
    page.until(lambda: page.frame() == 4)
    stage.click()
    page.keys(Keys.HOME)
    page.until(lambda: page.frame() == 1)
    page.keys(Keys.PAGE_DOWN, Keys.ARROW_UP)
    page.until(lambda: page.frame() == 10)

    def window():
        fields = (page.find(f"#window-{one}") for one in ("center", "width"))
        return [float(field.get_attribute("value")) for field in fields]

    before = window()
    drag = ActionChains(page.browser).move_to_element(stage).click_and_hold()
    drag.move_by_offset(40, 60).move_by_offset(40, 20).release().perform()

    page.until(lambda: window()[0] > before[0] and window()[1] > before[1])
    page.find("#window-center").clear()
    page.type("#window-center", f"60{Keys.TAB}")
    page.find("#window-width").clear()
    page.type("#window-width", f"100{Keys.TAB}")
    page.until(lambda: window() == [60, 100])
    wanted = np.asarray(render(objects[9], window=(60, 100))).astype(int)
    page.until(lambda: np.abs(np.array(page.drawn(ROWS, COLUMNS)) - wanted).max() <= 1)
    page.click("#invert")
    page.until(lambda: np.abs(255 - np.array(page.drawn(ROWS, COLUMNS)) - wanted).max() <= 1)
    size = page.text("#stage-right").partition(" ")[0]
    page.click("#zoom-in")
    page.until(lambda: int(page.text("#stage-right").partition(" ")[0]) > int(size))
    page.click("#reset")
    page.until(lambda: window() == before)


def test_overlays_can_be_hidden(page):
    page = page(get_testdata_file("examples_overlay.dcm"))
    page.click("#studies-body a")
    page.until(lambda: page.frame() == 1)
    one = read_file(get_testdata_file("examples_overlay.dcm"))

    def is_as(overlays):
        wanted = np.asarray(render(one, overlays=overlays)).astype(int)
        seen = np.array(page.drawn(*wanted.shape))
        rows, columns = np.nonzero(
            np.asarray(render(one, overlays=True)) != np.asarray(render(one, overlays=False))
        )
        away = np.abs(seen[rows, columns] - wanted[rows, columns]).mean()
        return bool(len(rows)) and away < 60  # pixels are smaller than those of the screen

    page.until(lambda: is_as(True))
    page.click("#overlays")
    page.until(lambda: is_as(False))


def test_tags_can_be_searched(page):
    one = image(1, RequestAttributesSequence=[{"ScheduledProcedureStepID": "STEP7"}])
    one.put(0x00091010, "LO", "private")
    page = page(one, where="#/study/1.2.3")
    page.shows("#tags-body", "Patient's Name")
    assert "1.2.840.10008.5.1.4.1.1.2 (CT Image Storage)" in page.text("#tags-body")
    page.type("#tags-search", "photometric")
    page.until(lambda: len(page.rows("#tags-body tr")) == 1)
    assert page.rows("#tags-body tr") == ["(0028,0004)|Photometric Interpretation|CS|MONOCHROME2"]
    page.find("#tags-search").clear()
    page.type("#tags-search", "step7")
    page.until(
        lambda: page.rows("#tags-body tr") == ["(0040,0009)|Scheduled Procedure Step ID|SH|STEP7"]
    )
    page.type("#tags-search", " nothing")
    page.shows("#tags-empty", "No tag matches.")
    page.click("#tags-button")
    assert not page.is_visible("#tags-panel")


def test_an_object_without_an_image(page):
    page = page(get_testdata_file("rtplan.dcm"))
    page.click("#studies-body a")
    page.shows("#stage-message", "This object has no image")
    page.shows("#tags-body", "RT Plan Label")


# --- the system ----------------------------------------------------------------------------


def test_the_tree_after_a_crash(page):
    page = page(where="#/system")
    page.shows("#tree-body", "listener")
    for name in ("endpoint supervisor", "archive", "index", "web", "http-server", "live-feed"):
        assert name in page.text("#tree-body")
    crash_at(page.endpoint, "listener.accept")
    with connect("127.0.0.1", port_of(page), called="ANY", calling="TESTER") as association:
        association.echo()
        page.until(
            lambda: any(row.startswith("listener|running|1|") for row in page.rows("#tree-body tr"))
        )
        (row,) = [row for row in page.rows("#tree-body tr") if row.startswith("listener|")]
        assert "InjectedCrash" in row
        page.shows("#log", "listener crashed: error: InjectedCrash")
        page.shows("#log", "TESTER")
        page.shows("#associations-body", "TESTER")
    page.shows("#associations-empty", "Nobody is connected.")
    page.shows("#log", "released")


def test_operations(page):
    page = page(where="#/system")
    page.click("#suspend")
    page.shows("#banner", "The endpoint is suspended")
    assert page.endpoint.ask(messages.GetStatus()).state == "suspended"
    page.click("#resume")
    page.until(lambda: not page.is_visible("#banner"))
    association = connect("127.0.0.1", port_of(page), called="ANY", calling="TESTER")
    page.click('[aria-label^="Abort association"]')
    page.shows("#confirm-text", "of TESTER")
    page.click("#confirm-go")

    def is_aborted():
        try:
            association.echo()
        except AssociationError:
            return True
        return False

    until(is_aborted)
    page.shows("#associations-empty", "Nobody is connected.")
    page.click("#drain")
    page.click("#confirm-go")
    page.shows("#banner", "The endpoint is")
    until(lambda: page.endpoint.ask(messages.GetStatus()).state != "running")


def test_destinations_are_shown_where_there_are_queues(page):
    came = datetime(2026, 1, 5, 7, 8, 9).astimezone()
    found = [
        QueueStatus("PACS", False, 1300, 2, 1, 40, came.timestamp(), "refused"),
        QueueStatus("AI", True, 3, 0, 0, 0, came.timestamp(), None),
        QueueStatus("WS", False, 0, 0, 0, 7, None, None),
    ]
    routes = [Route("/api/queues", lambda _: JSONResponse([one._asdict() for one in found]))]
    page = page(where="#/system", routes=routes)
    page.shows("#queues", "PACS")
    assert page.rows("#queues-body tr") == [
        "PACS|sending|1,300|2|1|40|2026-01-05 07:08:09|refused",
        "AI|paused|3|0|0|0|2026-01-05 07:08:09|",
        "WS|idle|0|0|0|7||",
    ]


def test_what_is_long_pushes_nothing_out_of_its_line(page):
    long = study(1, StudyDescription="x" * 64, PatientName="Doe^Jane", StudyDate="1996.10.29")
    page = page(long)
    page.shows("#studies-body", "1996-10-29")
    page.go("#/study/1.2.1")
    page.until(lambda: page.frame() == 1)
    tops = page.run(
        "return ['study-title', 'study-download', 'study-delete'].map(one =>"
        " document.getElementById(one).getBoundingClientRect()).map(one =>"
        " (one.top + one.bottom) / 2)"
    )
    assert max(tops) - min(tops) < 3
    page.emulate(width=390)
    assert page.run("return document.documentElement.scrollWidth") <= 390


# --- tokens --------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path):
    path, lines, known = tmp_path / "tokens", [], {}
    for right in ("read", "write", "admin"):
        known[right], line = new_token(f"a-{right}", right)
        lines.append(line)
    path.write_text("\n".join(lines))
    return Tokens(path), known


def test_a_token_is_refused_and_another_one_accepted(page, tokens):
    accepted, known = tokens
    page = page(study(1), tokens=accepted)
    page.browser.get(page.url)
    page.shows("#token-dialog", "asks for a token")
    assert page.rows() == []
    page.expected.append("401")
    page.type("#token-input", f"wrong{Keys.ENTER}")
    page.shows("#token-error", "does not know this token")
    page.type("#token-input", f"{known['read']}{Keys.ENTER}")
    page.until(lambda: len(page.rows()) == 1)
    page.until(lambda: page.text("#link-text") == "live")
    assert page.text("#token-button") == "Token: a-read"
    assert not page.is_visible("#upload-button")
    page.go("#/study/1.2.1")
    page.until(lambda: page.frame() == 1)
    assert not page.is_visible("#study-delete")
    page.go("#/system")
    page.shows("#operations-note", "takes a token that is for admin")
    assert not page.is_visible("#suspend")

    # It is kept as long as the tab is; with one that may, there are buttons.
    page.open("#/system")
    page.click("#token-button")
    page.type("#token-input", f"{known['admin']}{Keys.ENTER}")
    page.click("#suspend")
    page.shows("#banner", "The endpoint is suspended")
    assert page.run("return localStorage.length") == 0
    assert page.run("return document.cookie") == ""


# --- everybody -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, which looks for barriers."""
    package = chromium.npm_package("axe-core", "4", tmp_path_factory.mktemp("axe"))
    return (package / "axe.min.js").read_text()


def barriers(page, axe):
    page.run(axe)
    found = page.browser.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
        ".then(one => done(one.violations), one => done([{id: String(one), nodes: []}]))"
    )
    return [
        f"{one['id']} ({one.get('impact')}): {[node['target'] for node in one['nodes']][:5]}"
        for one in found
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_bars_anybody(page, axe, dark):
    page = page(*(image(at, rows=ROWS, columns=COLUMNS) for at in (1, 2)), study(2))
    page.emulate(dark=dark)
    page.until(page.rows)
    assert barriers(page, axe) == []
    page.go("#/study/1.2.3")
    page.shows("#tags-body", "Patient's Name")
    page.until(lambda: page.frame() == 1)
    assert barriers(page, axe) == []
    page.click("#study-delete")
    page.shows("#confirm-title", "Delete")
    assert barriers(page, axe) == []
    page.click("#confirm-cancel")
    with connect("127.0.0.1", port_of(page), called="ANY", calling="TESTER"):
        page.go("#/system")
        page.shows("#associations-body", "TESTER")
        assert barriers(page, axe) == []
    if dark:
        return  # what a narrow page has is the same
    page.emulate(width=390)
    for where in ("#/studies", "#/study/1.2.3", "#/system"):
        page.go(where)
        page.until(lambda: page.run("return document.body.checkVisibility()"))
        assert barriers(page, axe) == [], where


def test_a_phone_need_not_scroll_sideways(page):
    page = page(image(1, rows=ROWS, columns=COLUMNS), study(2))
    page.emulate(width=390)
    for where, selector in (
        ("#/studies", "#studies-body"),
        ("#/study/1.2.3", "#canvas"),
        ("#/system", "#tree-body"),
    ):
        page.go(where)
        page.until(lambda selector=selector: page.is_visible(selector))
        assert page.run("return document.documentElement.scrollWidth") <= 390, where


def test_the_keyboard_alone_will_do(page):
    page = page(image(1, rows=ROWS, columns=COLUMNS), image(2, rows=ROWS, columns=COLUMNS))
    page.until(page.rows)
    page.keys(Keys.TAB)
    assert page.run("return document.activeElement.textContent") == "Skip to content"
    page.keys(Keys.ENTER)
    assert page.run("return document.activeElement.id") == "main"
    for _ in range(40):
        page.keys(Keys.TAB)
        if page.run("return document.activeElement.closest('#studies-body') !== null"):
            break
    page.keys(Keys.ENTER)
    page.shows("#study-title", "Doe, John")
    page.until(lambda: page.frame() == 1)
    for _ in range(40):
        page.keys(Keys.TAB)
        if page.run("return document.activeElement.id === 'stage'"):
            break
    page.keys(Keys.ARROW_DOWN)
    page.until(lambda: page.frame() == 2)
    assert page.run("return document.getElementById('canvas').ariaLabel").startswith("Image 2 of 2")


def test_only_this_server_is_asked_for_anything(page):
    page = page(image(1, rows=ROWS, columns=COLUMNS), where="#/study/1.2.3")
    page.until(lambda: page.frame() == 1)
    asked = page.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert asked
    own = [one for one in asked if one.startswith((page.url, f"blob:{page.url}"))]
    assert own == asked
    with pytest.raises(Exception, match="TrustedHTML"):
        page.run("document.body.innerHTML = '<p>x</p>'")
    page.expected.append("TrustedHTML")


def test_the_page_of_a_running_command(browser, quiet, tmp_path):
    import re

    from kit.serving import serving

    del quiet
    with serving("--store", str(tmp_path / "archive"), "--web-port", "0") as server:
        server.wait_for("web page on http://127.0.0.1:")
        url = re.search(r"web page on (http://127.0.0.1:\d+/)\n", server.output)[1]
        page = chromium.Page(browser, url)
        page.open()
        page.shows("#studies-empty", "no studies yet")
        with connect("127.0.0.1", server.port, called="ANY") as association:
            assert association.store(file_of(image()))
        page.shows("#studies-body", "Doe, John")
        # A page that listens does not hold up the end.
        assert server.stop() == 0
    browser.get("about:blank")
    browser.get_log("browser")
