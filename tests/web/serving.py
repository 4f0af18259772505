"""A web server with an archive, for tests."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dicom_actors import DataSet, write_file
from dicom_actors.archive import Archive
from dicom_actors.web import WebServer, WebSettings

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def image(
    number: int = 1,
    *,
    study: str = "1.2.3",
    series: str | None = None,
    rows: int = 4,
    columns: int = 6,
    frames: int | None = None,
    **values: Any,
) -> DataSet:
    """An image of 16 bits, whose pixels count up."""
    series = series or f"{study}.1"
    pixels = b"".join(
        value.to_bytes(2, "little")
        for value in [(number + at) % 4096 for at in range(rows * columns * (frames or 1))]
    )
    more = {} if frames is None else {"NumberOfFrames": frames}
    return DataSet.from_keywords(
        **{
            "SOPClassUID": CT,
            "SOPInstanceUID": f"{series}.{number}",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "StudyDate": "20240102",
            "StudyTime": "101010",
            "PatientName": "Doe^John",
            "PatientID": "P1",
            "StudyID": "S1",
            "AccessionNumber": "A1",
            "StudyDescription": "Head",
            "Modality": "CT",
            "SeriesNumber": 1,
            "InstanceNumber": number,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": rows,
            "Columns": columns,
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            **more,
            "PixelData": pixels,
            **values,
        }
    )


def file_of(data_set: DataSet, transfer_syntax: str = EXPLICIT) -> bytes:
    import io

    buffer = io.BytesIO()
    write_file(buffer, data_set, transfer_syntax=transfer_syntax)
    return buffer.getvalue()


@dataclass
class Answer:
    """What came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def type(self) -> str:
        return self.headers.get("content-type", "")

    def json(self) -> Any:
        return json.loads(self.body)

    def parts(self) -> list[tuple[dict[str, str], bytes]]:
        """The parts of a multipart body, split as RFC 2046 says."""
        boundary = self.type.partition("boundary=")[2].encode()
        assert self.body.startswith(b"--" + boundary)
        assert self.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        found = []
        inner = self.body[: -len(boundary) - 8].removeprefix(b"--" + boundary)
        for part in inner.split(b"\r\n--" + boundary):
            head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            lines = [line.partition(": ") for line in head.decode().split("\r\n")]
            headers = {name.lower(): value for name, _, value in lines}
            assert int(headers["content-length"]) == len(body)
            found.append((headers, body))
        return found


class Client:
    """Asks a server; one connection for each request."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def ask(self, path: str, method: str = "GET", body: Any = None, /, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def web(self, path: str, method: str = "GET", body: Any = None, /, **headers: str) -> Answer:
        return self.ask(f"/dicom-web{path}", method, body, **headers)


@contextlib.contextmanager
def served(folder: Any, *objects: Any, **named: Any) -> Iterator[tuple[Client, Archive]]:
    """A server on a port of its own, with these objects in its archive."""
    settings = named.pop("settings", None) or WebSettings(drain_timeout=1.0)
    with Archive.open(folder, durability="os") as archive:
        for one in objects:
            archive.add(one)
        with WebServer.start(archive, port=0, settings=settings, **named) as server:
            port = int(server.url.rpartition(":")[2].strip("/"))
            client = Client("127.0.0.1", port)
            client.server = server  # type: ignore[attr-defined]
            yield client, archive
