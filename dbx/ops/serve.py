"""Serve the domains of a repository to other repositories: over HTTP on a port, or over two files for ssh."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from typing import TYPE_CHECKING, BinaryIO

from dbx.errors import Denied, Failure
from dbx.remotes.gate import Gate
from dbx.remotes.server import Server, serve_stdio
from dbx.remotes.service import anybody, make_application, readers
from dbx.repo.repository import Repository
from dbx.repo.security.access import is_required
from dbx.repo.security.tokens import has_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.time import Clock
    from dbx.repo.vault.keyring import FindDek

STOP_S = 30.0
"""How long requests that run may take to end, once the server was told to."""
MAX_BODY_BYTES = 16 << 30


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
    tls: tuple[str, str] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    find_dek: FindDek = lambda: None,
) -> Server:
    """A server that listens, on the repository whose `.dbx` is at `path`. Raises Denied, Failure.

    While there are no tokens, who reaches it may do all it does: so it leaves the machine only to be read, or where
    that is said to be meant. `tls` are the files of a certificate chain and of its key, in PEM.
    """
    repository = Repository(path, clock=clock)
    guarded = has_tokens(repository) or is_required(repository)
    repository.close()
    if not (read_only or insecure or guarded or is_loopback(host)):
        raise Denied(
            f"without tokens, everybody who reaches {host} could write",
            hint="issue one with 'dbx token generate', or add '--read-only', or '--insecure' if the network keeps"
            " strangers out",
        )
    gate = readers if read_only else anybody
    application = make_application(
        path,
        gate=gate,
        tokens=Gate(log),
        read_only=read_only,
        max_body_bytes=max_body_bytes,
        wait_s=wait_s,
        clock=clock,
        find_dek=find_dek,
    )
    return Server(host, port, application, log, tls=None if tls is None else _context(*tls))


def run_server(server: Server, wait: Callable[[], object], log: Callable[[str], None]) -> None:
    """Serve until `wait` returns; then let what has begun come to its end, for STOP_S seconds at most."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        wait()
    finally:
        server.shutdown()
        if not server.wait_idle(STOP_S):
            log(f"requests that still ran after {STOP_S:g} s were cut off; nothing of them is half done")
        server.server_close()


def serve_files(
    path: str,
    source: BinaryIO,
    target: BinaryIO,
    *,
    read_only: bool,
    clock: Clock,
    wait_s: float,
    token: str | None = None,
    find_dek: FindDek = lambda: None,
) -> None:
    """Serve one connection over two files, until the other side closes it; `token` where a request carries none."""
    Repository(path, clock=clock).close()
    gate = readers if read_only else anybody
    application = make_application(
        path,
        gate=gate,
        tokens=Gate(fallback=token),
        read_only=read_only,
        wait_s=wait_s,
        clock=clock,
        find_dek=find_dek,
    )
    serve_stdio(application, source, target)


def _context(certificate: str, key: str) -> ssl.SSLContext:
    """TLS with a certificate. Raises Failure where it cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password here OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        why = "they are not a pair in PEM" if isinstance(error, ssl.SSLError) else str(error.strerror).lower()
        raise Failure(f"cannot use the certificate '{certificate}' with the key '{key}': {why}") from None
    return context


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which nobody else reaches."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
