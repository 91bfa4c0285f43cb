"""Print the head of the audit trail as a checkpoint, signed where asked."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.signing import prepare_key


@define()
@click.option("--sign", is_flag=True, help="Sign it with the workspace's key.")
@params.out_option("Write it to FILE.")
@pass_invocation
def command(invocation: Invocation, sign: bool, out: str | None) -> None:
    from dbx.formats.base64text import encode_base64
    from dbx.ops.audit import make_checkpoint

    with session(invocation) as opened:
        prepare_key(invocation, opened)
        made, data, signer = make_checkpoint(opened, sign=sign, out=out)
    document = {
        "origin": made.origin,
        "size": made.size,
        "root": made.root.hex(),
        "root_base64": encode_base64(made.root),
        "signer": signer,
        "checkpoint": data.decode(),
        "out": out,
    }
    emit(invocation, document, [data.decode().rstrip("\n") if out is None else f"wrote '{out}'"])
