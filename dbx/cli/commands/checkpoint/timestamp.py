"""Ask a time-stamping authority (RFC 3161) to stamp a checkpoint, and keep its answer.

Needs openssl. 'dbx checkpoint verify --timestamp' verifies the answer offline.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit

_MAX_BYTES = 1 << 20


@define()
@click.argument("file", metavar="FILE")
@click.option("--tsa", metavar="URL", required=True, help="The authority's address.")
@click.option("--ca", metavar="FILE", help="Certificates that vouch for the authority: verify before keeping.")
@params.out_option("Where the answer is kept (default: FILE.tsr).")
@pass_invocation
def command(invocation: Invocation, file: str, tsa: str, ca: str | None, out: str | None) -> None:
    from dbx.ops.timestamp import timestamp

    data = params.read_input(None, file, _MAX_BYTES, "the checkpoint")
    stamped = timestamp(data, tsa, out or f"{file}.tsr", ca)
    emit(invocation, {"path": stamped.path, "time": stamped.time}, [f"stamped {stamped.time}: '{stamped.path}'"])
