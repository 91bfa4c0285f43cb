"""A web server over a directory, as anybody has one: it gives files, parts of files, and knows nothing of dbx."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Spoil = Callable[[str, bytes], bytes | None]
"""What becomes of a file: (its path, its bytes) -> its bytes; None for a file that is said not to be there."""


class Web:
    """A running server: its address, and the paths that were asked for."""

    def __init__(self, url: str, asked: list[str]) -> None:
        self.url = url
        self.asked = asked


@contextmanager
def web_server(
    root: Path, spoil: Spoil = lambda path, data: data, *, ranges: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Serve the files below a directory, with `tls` over TLS."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(root))

        def do_GET(self) -> None:
            asked.append(self.path)
            path = Path(self.translate_path(self.path))
            data = spoil(self.path, path.read_bytes()) if path.is_file() else None
            if data is None:
                self.send_error(404)
                return
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if ranges else None
            if part:
                data = data[int(part[1]) : int(part[2]) + 1]
            self.send_response(206 if part else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        # The handshake is made by the thread of the connection: one that fails is in nobody's way.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Web(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
