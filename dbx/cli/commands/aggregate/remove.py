"""Drop the staged creation of an aggregate. Committed events cannot be removed."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject


@define()
@subject_options("TYPE ID")
@pass_invocation
def command(
    invocation: Invocation, words: tuple[str, ...], aggregate_type: str | None, aggregate_id: str | None
) -> None:
    from dbx.ops.change import remove_staged

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        dropped = remove_staged(opened, kind, name)
    document = {"aggregate_type": kind, "aggregate_id": name, "removed": True, "events": dropped}
    emit(invocation, document, [f"{pairs({'aggregate_type': kind, 'aggregate_id': name})} removed"])
