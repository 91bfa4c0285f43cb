"""Serve the domains of a repository to other repositories: over HTTP on a port, or over two files for ssh."""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING, BinaryIO

from dbx.errors import Denied
from dbx.remotes.server import Server, serve_stdio
from dbx.remotes.service import anybody, make_application, readers
from dbx.repo.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.time import Clock

STOP_S = 10.0


def open_server(
    path: str,
    host: str,
    port: int,
    *,
    read_only: bool,
    insecure: bool,
    clock: Clock,
    wait_s: float,
    log: Callable[[str], None],
) -> Server:
    """A server that listens, on the repository whose `.dbx` is at `path`. Raises Denied, Failure.

    While there are no tokens, who reaches it may do all it does: so it leaves the machine only to be read, or where
    that is said to be meant.
    """
    if not (read_only or insecure or is_loopback(host)):
        raise Denied(
            f"without tokens, everybody who reaches {host} could write",
            hint="add '--read-only', or '--insecure' if the network keeps strangers out",
        )
    Repository(path, clock=clock).close()
    gate = readers if read_only else anybody
    return Server(host, port, make_application(path, gate=gate, wait_s=wait_s, clock=clock), log)


def run_server(server: Server, stop: threading.Event) -> None:
    """Serve until `stop` is set; then let what has begun come to its end, for STOP_S seconds at most."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    try:
        stop.wait()
    finally:
        server.shutdown()
        server.wait_idle(STOP_S)
        server.server_close()


def serve_files(path: str, source: BinaryIO, target: BinaryIO, *, read_only: bool, clock: Clock, wait_s: float) -> None:
    """Serve one connection over two files, until the other side closes it."""
    Repository(path, clock=clock).close()
    gate = readers if read_only else anybody
    serve_stdio(make_application(path, gate=gate, wait_s=wait_s, clock=clock), source, target)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which nobody else reaches."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
