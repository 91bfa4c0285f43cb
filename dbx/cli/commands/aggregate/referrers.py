"""List the aggregates that refer to one, and in which field."""

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
    from dbx.ops.references import list_referrers

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        found = [
            {"aggregate_type": one.aggregate_type, "aggregate_id": one.aggregate_id, "path": ".".join(one.path)}
            for one in list_referrers(opened, kind, name)
        ]
    emit(invocation, found, [pairs(one) for one in found] or ["no referrers found"])
