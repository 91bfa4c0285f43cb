"""A small store that speaks as much of S3 as is needed, over a directory, and honours conditions or does not."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Spoil = Callable[[str, bytes], bytes | None]
"""What becomes of an object that is read: (its key, its bytes) -> its bytes; None for one that is not there."""
FULL = 507


class _Bucket(ThreadingHTTPServer):
    root: Path
    spoil: Spoil
    before_put: Callable[[str], int | None]
    after_put: Callable[[str], int | None]
    before_get: Callable[[str], object]
    redirect: tuple[int, str] | None
    if_none_match: bool
    if_match: bool
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    server: _Bucket
    protocol_version = "HTTP/1.1"

    def _path(self) -> tuple[str, Path]:
        bucket_name, _, key = unquote(self.path.partition("?")[0]).lstrip("/").partition("/")
        assert bucket_name == "events"
        assert ".." not in key.split("/")
        return key, self.server.root / key

    def _turns_away(self) -> bool:
        """Every request is answered with a redirect, if there is one."""
        if self.server.redirect is None:
            return False
        status, there = self.server.redirect
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(status, Location=f"{there}{self.path}")
        return True

    def _answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        if self._turns_away():
            return
        key, path = self._path()
        self.server.before_get(key)
        with self.server.lock:
            data = path.read_bytes() if path.is_file() else None
        data = None if data is None else self.server.spoil(key, data)
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        headers = {"ETag": _tag(data), "Last_Modified": "Mon, 23 Nov 2026 07:00:00 GMT"}
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part is None:
            self._answer(200, data, **headers)
            return
        first, last = int(part[1]), min(int(part[2]), len(data) - 1)
        self._answer(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}", **headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        if self._turns_away():
            return
        key, path = self._path()
        data = self.rfile.read(int(self.headers["Content-Length"]))
        failure = self.server.before_put(key)
        if failure is not None:
            self._answer(failure, b"<Error><Code>Failed</Code></Error>")
            return
        with self.server.lock:
            there = path.read_bytes() if path.is_file() else None
            expected = self.headers.get("If-Match") if self.server.if_match else None
            is_new = self.server.if_none_match and self.headers.get("If-None-Match") == "*"
            if _is_refused(there, is_new, expected):
                self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        failure = self.server.after_put(key)
        if failure is not None:
            self._answer(failure)
            return
        self._answer(200, ETag=_tag(data))

    def do_DELETE(self) -> None:
        _, path = self._path()
        path.unlink(missing_ok=True)
        self._answer(204)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def bucket(
    root: Path,
    *,
    if_none_match: bool = True,
    if_match: bool = True,
    spoil: Spoil = lambda key, data: data,
    before_put: Callable[[str], int | None] = lambda key: None,
    after_put: Callable[[str], int | None] = lambda key: None,
    before_get: Callable[[str], object] = lambda key: None,
    redirect: tuple[int, str] | None = None,
) -> Iterator[str]:
    """Serve the bucket `events` from the files below a directory; the endpoint's URL. `before_put` is called with each
    key that is about to be put, and gives the status to fail with, or None; `after_put` the same once it is there, and
    `before_get` with each that is read. `redirect` is (status, beginning of a URL) for every answer."""
    server = _Bucket(("127.0.0.1", 0), _Handler)
    server.root, server.spoil, server.before_put, server.after_put = root, spoil, before_put, after_put
    server.before_get, server.redirect = before_get, redirect
    server.if_none_match, server.if_match = if_none_match, if_match
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _is_refused(there: bytes | None, is_new: bool, expected: str | None) -> bool:
    if is_new:
        return there is not None
    return expected is not None and (there is None or _tag(there) != expected)


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'
