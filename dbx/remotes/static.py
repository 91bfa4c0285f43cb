"""A remote that is a domain directory behind any web server: read only, file by file, over HTTP.

`static+http://` and `static+https://` say so; `http://` finds out, by asking for the protocol first. Everything that
holds for the client of a server holds here: verified TLS, no redirect, bounded bytes, and no dripping.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from dbx.errors import Corrupt, Denied, RemoteFailure
from dbx.remotes.base import NO_DOMAIN
from dbx.remotes.files import FilesTransport
from dbx.remotes.http import HttpTransport
from dbx.repo.places import places
from dbx.repo.replica.gather import Gone

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator

    from dbx.model.address import Address
    from dbx.remotes.base import Means

_AT_ONCE = 256 * 1024
_MISSING = frozenset({403, 404, 410})
"""An object store that serves a bucket to the public says 403 of what is not there."""


def connect(address: Address, domain: str | None, means: Means) -> FilesTransport:
    """A reader of files. Nothing is sent yet."""
    return StaticTransport(WebShelf(address, domain, means), address.text, means)


class StaticTransport(FilesTransport):
    """Files behind a web server."""

    def __init__(self, shelf: WebShelf, url: str, means: Means) -> None:
        super().__init__(shelf, url, means)
        self._stack.callback(shelf.close)


class WebShelf(HttpTransport):
    """The files of one domain directory, by GET."""

    def __init__(self, address: Address, domain: str | None, means: Means) -> None:
        super().__init__(address, domain, means)
        self._is_tls = address.scheme.endswith("https")
        self._path = urlsplit(address.location).path.rstrip("/")
        self._place: str | None = None

    def find(self, name: str, max_bytes: int) -> bytes | None:
        """A small file; None where there is none."""
        if self._place is None:
            found = places(self._path, self._domain, self._means.name, self._read)
            if found is None:
                if self._domain is not None:
                    raise RemoteFailure(
                        f"cannot reach '{self._url}': domain '{self._domain}' does not exist there", hint=NO_DOMAIN
                    )
                return None
            self._place = found
        return self._read(f"{self._place}/{name}", max_bytes)

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        """A file in pieces. Raises Gone."""
        with self._get(f"{self._place}/{name}") as response:
            if response is None:
                raise Gone
            yield from bounded(response, size)

    def tail(self, name: str, size: int, count: int) -> bytes:
        """The last bytes of a file; all of it is read where the server cannot give a part. Raises Gone."""
        asked = {} if count >= size else {"Range": f"bytes={size - count}-{size - 1}"}
        with self._get(f"{self._place}/{name}", asked) as response:
            if response is None:
                raise Gone
            if response.status == 206:
                data = b"".join(bounded(response, count))
            else:
                data = b""
                for piece in bounded(response, size):
                    data = (data + piece)[-count:]
        if len(data) != min(count, size):
            raise Corrupt(f"'{name}' is shorter than the manifest says", details={"received": True})
        return data

    def _read(self, path: str, max_bytes: int) -> bytes | None:
        with self._get(path, {"Cache-Control": "no-cache"}) as response:
            return None if response is None else b"".join(bounded(response, max_bytes))

    @contextmanager
    def _get(self, path: str, headers: dict[str, str] | None = None) -> Iterator[http.client.HTTPResponse | None]:
        """One file's answer; None where there is none. Raises RemoteFailure."""
        target = quote(path, safe="/~%")
        try:
            with self._blaming():
                response = self._exchange("GET", target, {**(headers or {})}, None, self._means.timeout_s)
                if response.status in _MISSING:
                    response.read(_AT_ONCE)
                    yield None
                elif response.status in (200, 206):
                    yield response
                else:
                    raise self._no_file(response)
            self._end(response)
        except BaseException:
            self.close()
            raise

    def _no_file(self, response: http.client.HTTPResponse) -> RemoteFailure | Denied:
        if response.status == 401:
            return Denied(f"'{self._url}' wants a token", hint="give one with '--token', or store it with the remote")
        if 300 <= response.status < 400:
            return RemoteFailure(
                f"'{self._url}' redirects to another address, which is not followed",
                hint="ask who runs it for the right address, and set it with 'dbx remote set-url'",
            )
        return RemoteFailure(f"'{self._url}' answers with the status {response.status}", hint="try again later")


def bounded(response: http.client.HTTPResponse, size: int) -> Iterator[bytes]:
    """The body of an answer in pieces, at most `size` bytes of it. Raises Corrupt for a longer or a shorter one."""
    left = size
    while data := response.read1(_AT_ONCE):
        left -= len(data)
        if left < 0:
            raise Corrupt("a file is longer than it may be", details={"received": True})
        yield data
    if response.length:
        raise Corrupt("the transfer was cut short", details={"received": True})
