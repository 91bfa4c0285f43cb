"""Serve the repository's domains to other repositories."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.dek import find_dek
from dbx.cli.frame import define
from dbx.cli.render import emit, flush
from dbx.cli.report import say
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import UsageError

PORT = 6363


@define()
@click.option("--host", metavar="ADDRESS", help="Listen on this address (default 127.0.0.1).")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), help=f"Listen on this port (default {PORT}).")
@click.option("--read-only", is_flag=True, help="Take in nothing.")
@click.option("--insecure", is_flag=True, help="Let everybody write who reaches it, also from other machines.")
@click.option("--cert", metavar="FILE", help="Speak TLS, with this certificate chain in PEM.")
@click.option("--key", metavar="FILE", help="The certificate's key, in PEM.")
@click.option(
    "--max-body", metavar="SIZE", type=params.SIZE, help="Take in no larger push (default 16G; or 500M, 64K, bytes)."
)
@click.option("--stdio", is_flag=True, help="Serve one connection over standard input and output, for ssh.")
@pass_invocation
def command(
    invocation: Invocation,
    host: str | None,
    port: int | None,
    read_only: bool,
    insecure: bool,
    cert: str | None,
    key: str | None,
    max_body: int | None,
    stdio: bool,
) -> None:
    if (cert is None) != (key is None):
        raise UsageError("'--cert' and '--key' go together")
    tls = None if cert is None or key is None else (cert, key)
    if read_only and insecure:
        raise UsageError("'--insecure' is about writing, and '--read-only' forbids that")
    with session(invocation) as opened:
        path = opened.repository.path
    if stdio:
        if host is not None or port is not None or insecure or tls is not None or max_body is not None:
            raise UsageError("'--stdio' listens on no address")
        _serve_stdio(invocation, path, read_only=read_only)
        return
    at = (host or "127.0.0.1", PORT if port is None else port)
    _serve(invocation, path, *at, read_only=read_only, insecure=insecure, tls=tls, max_body=max_body)


def _serve(
    invocation: Invocation,
    path: str,
    host: str,
    port: int,
    *,
    read_only: bool,
    insecure: bool,
    tls: tuple[str, str] | None,
    max_body: int | None,
) -> None:
    import os
    import signal

    from dbx.ops.serve import MAX_BODY_BYTES, open_server, run_server

    def log(line: str) -> None:
        if not invocation.quiet:
            say(f"{escape(line)}\n")

    server = open_server(
        path,
        host,
        port,
        read_only=read_only,
        insecure=insecure,
        clock=invocation.clock,
        wait_s=invocation.wait_s,
        log=log,
        tls=tls,
        max_body_bytes=MAX_BODY_BYTES if max_body is None else max_body,
        find_dek=find_dek(invocation),
    )
    ends = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before there are threads, which inherit it
    document = {"url": server.url, "path": path, "read_only": read_only, "pid": os.getpid()}
    emit(invocation, document, [f"Serving {escape(path)} at {server.url}" + (", read only" if read_only else "")])
    flush()
    run_server(server, lambda: signal.sigwait(ends), log)


def _serve_stdio(invocation: Invocation, path: str, *, read_only: bool) -> None:
    import sys

    from dbx.cli.params import find_secret
    from dbx.ops.serve import serve_files

    serve_files(
        path,
        sys.stdin.buffer,
        sys.stdout.buffer,
        read_only=read_only,
        clock=invocation.clock,
        wait_s=invocation.wait_s,
        token=find_secret(invocation, invocation.token, invocation.token_file, "DBX_TOKEN"),
        find_dek=find_dek(invocation),
    )
