"""List every move of a ref, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.complete import complete_ref
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.history import SHORT
from dbx.cli.render import emit_stream, paint
from dbx.cli.session import session
from dbx.cli.text import escape

if TYPE_CHECKING:
    from dbx.formats.reflog import ReflogEntry


@define()
@click.argument("ref", metavar="[REF]", default="HEAD", shell_complete=complete_ref)
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=1), metavar="N", help="At most N moves.")
@click.option("--jsonl", is_flag=True, help="Print one JSON document a line.")
@pass_invocation
def command(invocation: Invocation, ref: str, limit: int | None, jsonl: bool) -> None:
    from dbx.ops.reflog import list_moves

    with session(invocation) as opened:
        name, moves = list_moves(opened, ref, limit)
        if invocation.json or jsonl:
            emit_stream(invocation, (_value(name, move) for move in moves), lambda _: "", jsonl=jsonl)
        else:
            emit_stream(invocation, moves, lambda move: _line(invocation, move), empty="no moves")


def _value(name: str, move: ReflogEntry) -> dict[str, Any]:
    return {
        "ref": name,
        "old": move.old,
        "new": move.new,
        "seq": move.seq,
        "time": move.time,
        "actor": {"group": move.actor.group, "user": move.actor.user},
        "reason": move.reason,
    }


def _line(invocation: Invocation, move: ReflogEntry) -> str:
    new = "-" * SHORT if move.new is None else move.new[:SHORT]
    by = f"{move.actor.group}:{move.actor.user}"
    return f"{paint(invocation, new, 'yellow')} {move.time} {escape(by)} {escape(move.reason)}"
