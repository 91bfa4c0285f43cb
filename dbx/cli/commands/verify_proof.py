"""Verify a proof: which links hold, and what that shows.

Opens no connection and needs no repository when the key is given.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, paint
from dbx.cli.session import session_if_any

_MAX_BYTES = 1 << 28
_MAX_CHECKPOINT_BYTES = 1 << 20
_MARKS = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("-", "dim")}


@define()
@click.argument("file", metavar="FILE|-")
@click.option("--key", "keys", metavar="VKEY", multiple=True, help="A key that you trust; those known here by default.")
@click.option("--checkpoint", metavar="FILE", help="A checkpoint that you have: older and other histories show.")
@click.pass_context
@pass_invocation
def command(
    invocation: Invocation, ctx: click.Context, file: str, keys: tuple[str, ...], checkpoint: str | None
) -> int:
    from dbx.errors import Corrupt
    from dbx.ops.prove import kind_of, verify

    data = params.read_input(ctx, file, _MAX_BYTES, "the proof")
    known = None
    if checkpoint is not None:
        known = params.read_input(ctx, checkpoint, _MAX_CHECKPOINT_BYTES, "the checkpoint")
    with session_if_any(invocation) as opened:
        proof, verdict = verify(opened, data, keys, known)
    reason = verdict.reason
    document = {
        "verified": reason is None,
        "reason": reason,
        "kind": kind_of(proof),
        "links": [
            {"link": one.name, "holds": one.holds, "text": one.text, "reason": one.reason} for one in verdict.links
        ],
        "signers": list(verdict.signers),
        "checkpoint": None
        if verdict.checkpoint is None
        else {
            "origin": verdict.checkpoint.origin,
            "size": verdict.checkpoint.size,
            "root": verdict.checkpoint.root.hex(),
        },
    }
    width = max(len(one.name) for one in verdict.links)
    lines = [
        f"{paint(invocation, _MARKS[one.holds][0].ljust(6), _MARKS[one.holds][1])}  {one.name.ljust(width)}  {one.text}"
        for one in verdict.links
    ]
    emit(invocation, document, [*lines, "verified" if reason is None else f"NOT verified: {reason}"])
    return 0 if reason is None else Corrupt.status
