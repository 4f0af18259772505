"""What clients accept, what is stored, and what they are given (PS3.18 8.7).

Each row: a resource, the transfer syntax that it is stored in, an ``Accept`` header (None: there is
none), the status, the media type of the response, and for multipart that of its parts.
"""

from __future__ import annotations

import re

import pytest
from web.serving import image

from dicom_actors import DataSet
from dicom_actors.archive import Archive
from dicom_actors.web import DicomWeb, Request

_ = "1.2.840.10008.1.2"
SYNTAXES = {
    "explicit": f"{_}.1",
    "implicit": _,
    "big": f"{_}.2",
    "deflated": f"{_}.1.99",
    "jpeg": f"{_}.4.50",
    "lossless": f"{_}.4.70",
    "jls": f"{_}.4.80",
    "jp2": f"{_}.4.90",
    "htj2k": f"{_}.4.201",
    "rle": f"{_}.5",
    "mp4": f"{_}.4.102",
}
OCTETS = "application/octet-stream"
MULTI = "multipart/related"
DICOM = 'multipart/related; type="application/dicom"'
BARE = "multipart/related; type=application/dicom"
ANY = f"{DICOM}; transfer-syntax=*"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
FRAME = f'multipart/related; type="{OCTETS}"'
JSON = "application/dicom+json"


def dicom(name):
    return f"application/dicom; transfer-syntax={SYNTAXES[name]}"


def octets(name):
    return f"{OCTETS}; transfer-syntax={SYNTAXES[name]}"


def picture(kind, name):
    return f"{kind}; transfer-syntax={SYNTAXES[name]}"


ROWS = [
    # An instance that is stored as the standard's default.
    ("instance", "explicit", None, 200, MULTI, dicom("explicit")),
    ("instance", "explicit", "", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", "*/*", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", "*", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", BROWSER, 200, MULTI, dicom("explicit")),
    ("instance", "explicit", DICOM, 200, MULTI, dicom("explicit")),
    ("instance", "explicit", BARE, 200, MULTI, dicom("explicit")),
    ("instance", "explicit", BARE.upper(), 200, MULTI, dicom("explicit")),
    ("instance", "explicit", "multipart/related", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", "multipart/*", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", ANY, 200, MULTI, dicom("explicit")),
    ("instance", "explicit", f"{BARE};transfer-syntax=*", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", f"{DICOM}; transfer-syntax={_}.1", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", f'{DICOM}; transfer-syntax="{_}.1"', 200, MULTI, dicom("explicit")),
    ("instance", "explicit", f"{DICOM}; transfer-syntax={_}", 200, MULTI, dicom("implicit")),
    ("instance", "explicit", f"{DICOM}; transfer-syntax={_}.2", 200, MULTI, dicom("big")),
    ("instance", "explicit", f"{DICOM}; transfer-syntax={_}.4.50", 406, None, None),
    ("instance", "explicit", f"{DICOM}; transfer-syntax=1.2.3", 406, None, None),
    ("instance", "explicit", "application/dicom", 200, dicom("explicit"), None),
    ("instance", "explicit", "application/*", 200, dicom("explicit"), None),
    (
        "instance",
        "explicit",
        f"application/dicom; transfer-syntax={_}",
        200,
        dicom("implicit"),
        None,
    ),
    ("instance", "explicit", "application/zip", 200, "application/zip", None),
    ("instance", "explicit", f"image/jpeg, {DICOM};q=0.5", 200, MULTI, dicom("explicit")),
    ("instance", "explicit", f"{DICOM};q=0.5, application/dicom", 200, dicom("explicit"), None),
    (
        "instance",
        "explicit",
        f"{DICOM};q=0.9, application/dicom;q=0.1",
        200,
        MULTI,
        dicom("explicit"),
    ),
    ("instance", "explicit", "*/*;q=0.1, application/dicom", 200, dicom("explicit"), None),
    ("instance", "explicit", f"*/*, {DICOM};q=0", 200, dicom("explicit"), None),
    ("instance", "explicit", "application/dicom;q=0", 406, None, None),
    ("instance", "explicit", "application/dicom;q=nonsense", 406, None, None),
    ("instance", "explicit", "image/jpeg", 406, None, None),
    ("instance", "explicit", "text/html", 406, None, None),
    ("instance", "explicit", "application/dicom+json", 406, None, None),
    ("instance", "explicit", "application/dicom+xml", 406, None, None),
    ("instance", "explicit", 'multipart/related; type="application/dicom+xml"', 406, None, None),
    ("instance", "explicit", "multipart/form-data", 406, None, None),
    ("instance", "explicit", ",,;;,", 406, None, None),
    # Others that are not compressed: the default is made of them.
    ("instance", "implicit", None, 200, MULTI, dicom("implicit")),
    ("instance", "implicit", "*/*", 200, MULTI, dicom("implicit")),
    ("instance", "implicit", DICOM, 200, MULTI, dicom("explicit")),
    ("instance", "implicit", BARE, 200, MULTI, dicom("explicit")),
    ("instance", "implicit", ANY, 200, MULTI, dicom("implicit")),
    ("instance", "implicit", f"{DICOM}; transfer-syntax={_}", 200, MULTI, dicom("implicit")),
    ("instance", "implicit", "application/dicom", 200, dicom("explicit"), None),
    ("instance", "big", DICOM, 200, MULTI, dicom("explicit")),
    ("instance", "big", ANY, 200, MULTI, dicom("big")),
    ("instance", "big", f"{DICOM}; transfer-syntax={_}", 200, MULTI, dicom("implicit")),
    ("instance", "deflated", DICOM, 200, MULTI, dicom("explicit")),
    ("instance", "deflated", ANY, 200, MULTI, dicom("deflated")),
    ("instance", "deflated", f"{DICOM}; transfer-syntax={_}.1.99", 200, MULTI, dicom("deflated")),
    # What is compressed comes as it is, where nothing decodes it.
    *[
        row
        for name in ("jpeg", "lossless", "jls", "jp2", "htj2k", "rle", "mp4")
        for row in (
            ("instance", name, None, 200, MULTI, dicom(name)),
            ("instance", name, DICOM, 200, MULTI, dicom(name)),
            ("instance", name, ANY, 200, MULTI, dicom(name)),
            (
                "instance",
                name,
                f"{DICOM}; transfer-syntax={SYNTAXES[name]}",
                200,
                MULTI,
                dicom(name),
            ),
            ("instance", name, f"{DICOM}; transfer-syntax={_}.1", 406, None, None),
        )
    ],
    # Studies and series are multipart, or a zip file.
    ("study", "explicit", None, 200, MULTI, dicom("explicit")),
    ("study", "explicit", DICOM, 200, MULTI, dicom("explicit")),
    ("study", "implicit", DICOM, 200, MULTI, dicom("explicit")),
    ("study", "implicit", ANY, 200, MULTI, dicom("implicit")),
    ("study", "explicit", "application/dicom", 406, None, None),
    ("study", "explicit", "application/zip", 200, "application/zip", None),
    ("series", "jls", ANY, 200, MULTI, dicom("jls")),
    ("series", "explicit", "image/png", 406, None, None),
    # Metadata is JSON.
    ("metadata", "explicit", None, 200, JSON, None),
    ("metadata", "explicit", "*/*", 200, JSON, None),
    ("metadata", "explicit", JSON, 200, JSON, None),
    ("metadata", "explicit", "application/json", 200, "application/json", None),
    ("metadata", "explicit", f"{JSON}, application/json", 200, JSON, None),
    ("metadata", "explicit", f"application/json, {JSON}", 200, "application/json", None),
    ("metadata", "explicit", "application/*", 200, JSON, None),
    ("metadata", "explicit", f"{JSON};charset=utf-8", 200, JSON, None),
    ("metadata", "explicit", 'multipart/related; type="application/dicom+xml"', 406, None, None),
    (
        "metadata",
        "explicit",
        f'multipart/related; type="application/dicom+xml", {JSON}',
        200,
        JSON,
        None,
    ),
    ("metadata", "jpeg", None, 200, JSON, None),
    # Searches, too.
    ("search", "explicit", None, 200, JSON, None),
    ("search", "explicit", JSON, 200, JSON, None),
    ("search", "explicit", "application/json", 200, "application/json", None),
    ("search", "explicit", BROWSER, 200, JSON, None),
    ("search", "explicit", "text/csv", 406, None, None),
    ("search", "explicit", 'multipart/related; type="application/dicom+xml"', 406, None, None),
    # A frame of what is not compressed.
    ("frame", "explicit", None, 200, MULTI, octets("explicit")),
    ("frame", "explicit", "*/*", 200, MULTI, octets("explicit")),
    ("frame", "explicit", FRAME, 200, MULTI, octets("explicit")),
    (
        "frame",
        "explicit",
        f"multipart/related;type={OCTETS};transfer-syntax=*",
        200,
        MULTI,
        octets("explicit"),
    ),
    ("frame", "explicit", f"{FRAME}; transfer-syntax={_}.1", 200, MULTI, octets("explicit")),
    ("frame", "explicit", f"{FRAME}; transfer-syntax={_}", 406, None, None),
    ("frame", "explicit", OCTETS, 200, octets("explicit"), None),
    ("frame", "explicit", 'multipart/related; type="image/jpeg"', 406, None, None),
    ("frame", "explicit", 'multipart/related; type="image/*"', 406, None, None),
    ("frame", "implicit", FRAME, 200, MULTI, octets("explicit")),
    ("frame", "big", FRAME, 200, MULTI, octets("explicit")),
    ("frame", "deflated", FRAME, 200, MULTI, octets("explicit")),
    ("frames", "explicit", None, 200, MULTI, octets("explicit")),
    ("frames", "explicit", OCTETS, 406, None, None),
    # Frames that are compressed have a media type of their own.
    *[
        row
        for name, kind in (
            ("jpeg", "image/jpeg"),
            ("lossless", "image/jpeg"),
            ("jls", "image/jls"),
            ("jp2", "image/jp2"),
            ("htj2k", "image/jphc"),
            ("rle", "image/dicom-rle"),
            ("mp4", "video/mp4"),
        )
        for row in (
            ("frame", name, None, 200, MULTI, picture(kind, name)),
            ("frame", name, f'multipart/related; type="{kind}"', 200, MULTI, picture(kind, name)),
            ("frame", name, f"{FRAME}; transfer-syntax=*", 200, MULTI, octets(name)),
            ("frame", name, FRAME, 406, None, None),
        )
    ],
    (
        "frame",
        "jls",
        "multipart/related; type=image/x-jls",
        200,
        MULTI,
        picture("image/x-jls", "jls"),
    ),
    ("frame", "jls", 'multipart/related; type="image/*"', 200, MULTI, picture("image/jls", "jls")),
    (
        "frame",
        "jls",
        f'multipart/related; type="image/jls"; transfer-syntax={_}.4.80',
        200,
        MULTI,
        picture("image/jls", "jls"),
    ),
    (
        "frame",
        "jls",
        f'multipart/related; type="image/jls"; transfer-syntax={_}.4.81',
        406,
        None,
        None,
    ),
    ("frame", "jls", 'multipart/related; type="image/jpeg"', 406, None, None),
    ("frame", "jpeg", "image/jpeg", 200, picture("image/jpeg", "jpeg"), None),
    ("frame", "mp4", 'multipart/related; type="video/*"', 200, MULTI, picture("video/mp4", "mp4")),
    # Bulk data.
    ("bulk", "explicit", None, 200, MULTI, OCTETS),
    ("bulk", "explicit", "*/*", 200, MULTI, OCTETS),
    ("bulk", "explicit", FRAME, 200, MULTI, OCTETS),
    ("bulk", "explicit", OCTETS, 200, OCTETS, None),
    ("bulk", "explicit", "image/png", 406, None, None),
    ("bulk", "jpeg", "*/*", 200, MULTI, picture("image/jpeg", "jpeg")),
    ("bulk", "jpeg", f"{FRAME}; transfer-syntax=*", 200, MULTI, octets("jpeg")),
    # Pictures need decoders, which are not there.
    ("rendered", "explicit", None, 501, None, None),
    ("thumbnail", "jpeg", "image/png", 501, None, None),
    # What the server says of itself.
    ("root", "explicit", None, 200, "application/vnd.sun.wadl+xml", None),
    ("root", "explicit", "application/json", 200, "application/json", None),
    ("root", "explicit", BROWSER, 200, "application/vnd.sun.wadl+xml", None),
    ("root", "explicit", "image/png", 406, None, None),
]

PATHS = {
    "instance": "/studies/{0}/series/{0}.1/instances/{0}.1.1",
    "series": "/studies/{0}/series/{0}.1",
    "study": "/studies/{0}",
    "metadata": "/studies/{0}/metadata",
    "search": "/studies",
    "frame": "/studies/{0}/series/{0}.1/instances/{0}.1.1/frames/1",
    "frames": "/studies/{0}/series/{0}.1/instances/{0}.1.1/frames/1,2",
    "bulk": "/studies/{0}/series/{0}.1/instances/{0}.1.1/bulkdata/7FE00010",
    "rendered": "/studies/{0}/series/{0}.1/instances/{0}.1.1/rendered",
    "thumbnail": "/studies/{0}/thumbnail",
    "root": "/",
}


def encapsulated(syntax):
    """Pixel data of two frames, each in a fragment."""
    encoded = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0"
    for frame in (b"one ", b"two "):
        encoded += b"\xfe\xff\x00\xe0\x04\0\0\0" + frame
    encoded += b"\xfe\xff\xdd\xe0\0\0\0\0"
    return DataSet.from_bytes(encoded, transfer_syntax=syntax)["PixelData"]


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    with Archive.open(tmp_path_factory.mktemp("archive"), durability="os") as archive:
        for number, (name, syntax) in enumerate(SYNTAXES.items(), 1):
            one = image(study=f"1.{number}", frames=2)
            if name not in {"explicit", "implicit", "big", "deflated"}:
                one.put("PixelData", "OB", encapsulated(syntax))
            from web.serving import file_of

            archive.add(file_of(one, syntax))
        application = DicomWeb(archive)
        yield application
        application.close()


def study_of(name):
    return f"1.{list(SYNTAXES).index(name) + 1}"


@pytest.mark.parametrize(("resource", "stored", "accept", "status", "kind", "of_parts"), ROWS)
def test_a_row(application, resource, stored, accept, status, kind, of_parts):
    path = PATHS[resource].format(study_of(stored))
    headers = {} if accept is None else {"accept": accept}

    response = application.begin(Request("GET", path, "http://here", headers=headers))

    body = b"".join(response.body)
    assert response.status == status, body[:300]
    if status != 200:
        assert response.headers["content-type"].startswith("text/plain")
        assert b"there is" in body or b"need the extra" in body
        return
    whole = response.headers["content-type"]
    assert whole.partition(";")[0] == kind if kind == MULTI else whole == kind
    if kind == MULTI:
        found = re.search(rb"Content-Type: ([^\r]+)\r\n", body)
        assert found[1].decode() == of_parts


def test_there_are_many_rows():
    assert len(ROWS) >= 120


@pytest.mark.parametrize("name", ["explicit", "implicit", "big", "deflated"])
def test_frames_are_in_little_endian_whatever_is_stored(application, name):
    path = PATHS["frames"].format(study_of(name))

    response = application.begin(Request("GET", path, "http://here"))

    first, second = re.findall(rb"\r\n\r\n(.{48})\r\n--", b"".join(response.body), re.DOTALL)
    assert first + second == image(frames=2)["PixelData"]


def test_the_parameter_counts_more_than_the_header(application):
    request = Request(
        "GET",
        PATHS["metadata"].format("1.1"),
        "http://here",
        (("accept", "application/json"),),
        {"accept": "text/html"},
    )

    assert application.begin(request).headers["content-type"] == "application/json"
