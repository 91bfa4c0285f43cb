"""Print a checkpoint: the size and root of the domain's commit log.

With --sign it is a signed note that anybody can verify who has the key; nothing is signed that contradicts what was
signed before.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.complete import complete_ref
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.signing import prepare_key


@define()
@click.argument("ref", metavar="[REF]", required=False, shell_complete=complete_ref)
@click.option("--sign", is_flag=True, help="Sign it with the workspace's key.")
@params.out_option("Write it to FILE.")
@pass_invocation
def command(invocation: Invocation, ref: str | None, sign: bool, out: str | None) -> None:
    from dbx.formats.base64text import encode_base64
    from dbx.ops.checkpoint import make_checkpoint

    with session(invocation) as opened:
        if sign:
            prepare_key(invocation, opened)
        made = make_checkpoint(opened, ref, sign=sign, out=out)
    text = made.data.decode()
    document = {
        "origin": made.checkpoint.origin,
        "size": made.checkpoint.size,
        "root": made.checkpoint.root.hex(),
        "root_base64": encode_base64(made.checkpoint.root),
        "signer": made.signer,
        "checkpoint": text,
        "out": out,
    }
    emit(invocation, document, [text.rstrip("\n") if out is None else f"wrote '{out}'"])
