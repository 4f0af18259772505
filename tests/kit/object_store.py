"""An object store as S3 has it (the calls that an archive makes), with faults on demand.

What a fault is for is decided by a function of the request; it is asked once the body is read.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "images"
SECRET = "very-secret-key"
FAULTS = ("error", "refused", "cut", "lost")
"""500 before anything is done; 403; the connection ends before anything is done; and after."""


class FakeObjectStore:
    """A server on the loopback.

    Attributes:
        objects: what is kept, by key.
        calls: how many requests of which kind came: ``"PUT"``, ``"GET"``, ``"RANGE"`` and so on.
        fault: gives, for the kind and the key of a request, one of `FAULTS`, or None.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.fault: Callable[[str, str], str | None] = lambda kind, key: None
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.numbers = count(1)
        self.lock = threading.Lock()
        store = self

        class Handler(_Handler):
            fake = store

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What the environment says to one who uses it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeObjectStore
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        fake = self.fake
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        _, bucket, *rest = unquote(parts.path).split("/", 2)
        key = rest[0] if rest else ""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.command
        if kind == "GET" and self.headers.get("Range"):
            kind = "RANGE"
        elif kind == "GET" and not key:
            kind = "LIST"
        elif query.keys() & {"uploads", "uploadId"}:
            kind = "PART" if kind == "PUT" else "MULTIPART"
        with fake.lock:
            fake.calls[kind] += 1
        fault = fake.fault(kind, key)
        if fault == "error":
            self._answer(500, b"<Error><Code>InternalError</Code></Error>")
            return
        if fault == "refused":
            self._answer(403, f"<Error><AWSAccessKeyId>{SECRET}</AWSAccessKeyId></Error>".encode())
            return
        if fault == "cut":
            self.close_connection = True
            return
        assert bucket == BUCKET
        with fake.lock:
            status, answer, headers = self._do(kind, key, query, body)
        if fault == "lost":
            self.close_connection = True
            return
        self._answer(status, answer, headers)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve

    def _do(self, kind: str, key: str, query: dict[str, str], body: bytes) -> Any:
        fake, none = self.fake, {}
        if kind == "PUT":
            fake.objects[key] = body
            return 200, b"", {"ETag": _tag(body)}
        if kind == "PART":
            fake.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, b"", {"ETag": _tag(body)}
        if kind == "MULTIPART":
            return self._multipart(key, query)
        if kind in {"GET", "RANGE", "HEAD"}:
            if key not in fake.objects:
                return 404, b"<Error><Code>NoSuchKey</Code></Error>", none
            return self._give(kind, fake.objects[key])
        if kind == "DELETE":
            fake.objects.pop(key, None)
            return 204, b"", none
        if kind == "POST" and "delete" in query:
            gone = [key.decode() for key in re.findall(rb"<Key>(.*?)</Key>", body)]
            for one in gone:
                fake.objects.pop(one, None)
            deleted = "".join(f"<Deleted><Key>{escape(one)}</Key></Deleted>" for one in gone)
            return 200, f"<DeleteResult>{deleted}</DeleteResult>".encode(), none
        assert kind == "LIST", (kind, query)
        return 200, self._list(query), none

    def _give(self, kind: str, found: bytes) -> Any:
        headers = {
            "ETag": _tag(found),
            "Last-Modified": "Fri, 02 Jan 2026 00:00:00 GMT",
            "Accept-Ranges": "bytes",
        }
        if kind != "RANGE":
            return 200, found, headers
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"])
        assert match
        start, end = int(match[1]), min(int(match[2] or len(found)), len(found) - 1)
        if start >= len(found):
            return 416, b"<Error><Code>InvalidRange</Code></Error>", {}
        headers["Content-Range"] = f"bytes {start}-{end}/{len(found)}"
        return 206, found[start : end + 1], headers

    def _multipart(self, key: str, query: dict[str, str]) -> Any:
        uploads = self.fake.uploads
        if "uploads" in query:
            name = f"upload-{next(self.fake.numbers)}"
            uploads[name] = {}
            text = f"<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{escape(key)}"
            text += f"</Key><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            return 200, text.encode(), {}
        parts = uploads.pop(query["uploadId"], {})
        if self.command == "DELETE":
            return 204, b"", {}
        whole = self.fake.objects[key] = b"".join(parts[number] for number in sorted(parts))
        text = f"<CompleteMultipartUploadResult><Location>x</Location><Bucket>{BUCKET}</Bucket>"
        text += (
            f"<Key>{escape(key)}</Key><ETag>{_tag(whole)}</ETag></CompleteMultipartUploadResult>"
        )
        return 200, text.encode(), {}

    def _list(self, query: dict[str, str]) -> bytes:
        """Two at a time, so that there are further pages."""
        after = query.get("continuation-token", "")
        prefix = query.get("prefix", "")
        keys = sorted(key for key in self.fake.objects if key.startswith(prefix) and key > after)
        page, more = keys[:2], len(keys) > 2
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-02T00:00:00.000Z"
            f"</LastModified><ETag>{_tag(self.fake.objects[key])}</ETag>"
            f"<Size>{len(self.fake.objects[key])}</Size></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{found}"
            "</ListBucketResult>"
        ).encode()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


@contextmanager
def object_store(monkeypatch: Any) -> Any:
    """Have one, which the environment of this process names."""
    fake = FakeObjectStore()
    try:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake
    finally:
        fake.close()
