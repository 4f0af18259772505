"""One connection to a server: requests, and the bodies of its responses as streams. RFC 9110."""

from __future__ import annotations

import contextlib
import http.client
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dicom_actors.config import check_host
from dicom_actors.errors import (
    AssociationTimeout,
    ConfigurationError,
    DicomError,
    TransportError,
    shown,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Connection", "Response", "WebError"]

_PIECE: Final = 1 << 16
_MOST_OF_A_REASON: Final = 64 * 1024
_SHOWN_OF_A_REASON: Final = 200
_ROOT: Final = "/dicom-web"


class WebError(DicomError):
    """A server refused a request, or answered what is no DICOMweb.

    Attributes:
        status: of its response, such as 404.
    """

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        return _made_again, (str(self), self.status)


def _made_again(message: str, status: int) -> WebError:
    return WebError(message, status=status)


class Response:
    """What a server answered.

    Attributes:
        status: as in RFC 9110 15.
        headers: by their names, in whatever case.
    """

    def __init__(self, response: http.client.HTTPResponse, where: str) -> None:
        self._response = response
        self._where = where
        self.status: Final = response.status
        self.headers: Final = response.headers

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return self.headers.get_content_type() if "content-type" in self.headers else ""

    def parameter(self, name: str) -> str:
        """A parameter of the content type; empty if it has none."""
        return str(self.headers.get_param(name, "") or "")

    def pieces(self) -> Iterator[bytes]:
        """The body, as it comes.

        Raises:
            TransportError: the connection was lost before its end.
            AssociationTimeout: nothing came in time.
        """
        with _failing(self._where):
            while data := self._response.read1(_PIECE):
                yield data
            # `read1` knows no end that came too early, where there is a length.
            if self._response.length:
                raise TransportError(f"{self._where}: the connection ended within a response")

    def body(self, most: int) -> bytes:
        """All of it.

        Raises:
            WebError: it is longer than `most` bytes.
            TransportError: see `pieces`.
            AssociationTimeout: see `pieces`.
        """
        found = bytearray()
        for data in self.pieces():
            found += data
            if len(found) > most:
                raise WebError(
                    f"{self._where}: expected up to {most} bytes in a response, got more",
                    status=self.status,
                )
        return bytes(found)


class Connection:
    """A connection to a server, opened when it is needed.

    Args:
        url: the root of its DICOMweb; one without a path stands for that path ``/dicom-web``.
        token: says who asks (RFC 6750); None: nobody.
        tls: what https needs; None: the authorities of the system are trusted.
        timeout: seconds for each step.

    Raises:
        ConfigurationError: `url` is no such address, `token` no token, or `timeout` no time.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
    ) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(
                f"expected http://HOST:PORT/PATH, or the same with https, got {shown(url)}"
            )
        if token is not None and not isinstance(token, str):
            # It may be a secret, so it is not shown.
            raise ConfigurationError(f"token: expected a text, got {type(token).__name__}")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise ConfigurationError(f"timeout: expected seconds above 0, got {shown(timeout)}")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ConfigurationError(
                f"expected an address with http:// or https://: {error}"
            ) from None
        if parts.scheme not in {"http", "https"} or not host or parts.query or parts.username:
            raise ConfigurationError(
                f"expected http://HOST:PORT/PATH, or the same with https, got {url!r}"
            )
        check_host(host)
        if token is not None and (not token.isascii() or not token.isprintable() or " " in token):
            raise ConfigurationError("token: expected ASCII text without blanks")
        self._is_secure = parts.scheme == "https"
        self._host, self._port = host, port
        self._path = parts.path.rstrip("/") or _ROOT
        self._tls, self._timeout, self._token = tls, timeout, token
        self._http: http.client.HTTPConnection | None = None
        self._open: http.client.HTTPResponse | None = None
        self.where: Final = f"{host}:{port}" if port else host

    def get(self, path: str, accept: str) -> Response:
        """Ask for something.

        Args:
            path: below the root, with a query if there is one.
            accept: the media types that will do.

        Raises:
            WebError: the server refuses it.
            TransportError: there is no connection, or it was lost.
            AssociationTimeout: there was no answer in time.
        """
        is_fresh = self._http is None
        try:
            return self._ask("GET", path, {"Accept": accept})
        except TransportError:
            if is_fresh:
                raise
        # The server had closed a connection that idled.
        return self._ask("GET", path, {"Accept": accept})

    def post(self, path: str, content_type: str, pieces: Iterable[bytes], accept: str) -> Response:
        """Send something.

        Args:
            path: below the root.
            content_type: of what is sent.
            pieces: that.
            accept: the media types that will do for the answer.

        Raises:
            WebError: the server refuses it.
            TransportError: there is no connection, or it was lost.
            AssociationTimeout: there was no answer in time.
        """
        self.close()  # one that idled may be closed by now, and this cannot be sent twice
        headers = {"Accept": accept, "Content-Type": content_type}
        return self._ask("POST", path, headers, pieces)

    def close(self) -> None:
        """Close it; it is opened again by the next request."""
        connection, self._http, self._open = self._http, None, None
        if connection is not None:
            connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        pieces: Iterable[bytes] | None = None,
    ) -> Response:
        if self._open is not None and not self._open.isclosed():
            self.close()  # nobody wants the rest of the last response
        with _failing(self.where, self.close):
            connection = self._http = self._http or self._connect()
            sent = {"User-Agent": "dicom_actors", **headers}
            if self._token is not None:
                sent["Authorization"] = f"Bearer {self._token}"
            try:
                connection.request(
                    method,
                    self._path + path,
                    body=pieces,
                    headers=sent,
                    encode_chunked=pieces is not None,
                )
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses what is sent may say so before all of it has come.
                if pieces is None:
                    raise
            response = self._open = connection.getresponse()
        answer = Response(response, self.where)
        if not 200 <= answer.status < 300 and answer.status != 409:
            raise self._refused(method, path, answer)
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=self._tls
        )

    def _refused(self, method: str, path: str, answer: Response) -> WebError:
        said = ""
        with contextlib.suppress(DicomError):
            if answer.content_type.startswith(("text/plain", "application/json")):
                said = answer.body(_MOST_OF_A_REASON).decode("utf-8", "replace")
        said = "".join(c if c.isprintable() else " " for c in said).strip()[:_SHOWN_OF_A_REASON]
        self.close()
        what = {
            401: "expected a token",
            403: "the token is not for that",
            404: "there is no such thing",
            406: "it has no such form",
        }.get(answer.status, "refused")
        if 300 <= answer.status < 400:
            what = f"moved to {answer.headers.get('location', '')[:_SHOWN_OF_A_REASON]!r}"
        behind = f": {said}" if said else ""
        return WebError(
            f"{self.where}: {method} {path.partition('?')[0]}: {answer.status}, {what}{behind}",
            status=answer.status,
        )


@contextlib.contextmanager
def _failing(where: str, close: Any = None) -> Iterator[None]:
    """Make the failures of a connection ours."""
    try:
        yield
    except DicomError:
        raise
    except TimeoutError as error:
        if close is not None:
            close()
        raise AssociationTimeout(f"{where}: no answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        if close is not None:
            close()
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise TransportError(f"{where}: {reason}") from error
