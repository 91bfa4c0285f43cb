"""Add our cosignature to a checkpoint of somebody else's log.

The last head that was seen of each origin is remembered. A checkpoint that is newer needs a proof of growth.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session

_MAX_BYTES = 1 << 20


@define()
@click.argument("file", metavar="FILE|-")
@click.option("--key", "keys", metavar="VKEY", multiple=True, help="The log's key; trusted keys by default.")
@click.option("--proof", metavar="FILE", help="What 'dbx prove consistency' wrote.")
@params.out_option("Write the cosigned checkpoint to FILE.")
@click.pass_context
@pass_invocation
def command(
    invocation: Invocation, ctx: click.Context, file: str, keys: tuple[str, ...], proof: str | None, out: str | None
) -> None:
    from dbx.formats.note import format_vkey
    from dbx.ops.checkpoint import witness_checkpoint
    from dbx.ops.prove import read_growth

    data = params.read_input(ctx, file, _MAX_BYTES, "the checkpoint")
    growth = None if proof is None else read_growth(params.read_input(ctx, proof, _MAX_BYTES, "the proof"))
    with session(invocation) as opened:
        done = witness_checkpoint(opened, data, keys, growth, out)
    text = done.note.decode()
    document = {
        "origin": done.checkpoint.origin,
        "size": done.checkpoint.size,
        "root": done.checkpoint.root.hex(),
        "seen_size": None if done.before is None else done.before.size,
        "vkey": format_vkey(done.key),
        "checkpoint": text,
        "out": out,
    }
    emit(invocation, document, [text.rstrip("\n") if out is None else f"wrote '{out}'"])
