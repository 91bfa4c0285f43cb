"""Find the first version of an aggregate for which a condition holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.listing import event_line
from dbx.cli.progress import progress
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.shapes import event_value
from dbx.cli.subject import refuse_rest, subject_options, take_subject

if TYPE_CHECKING:
    from dbx.model.event import Aggregate
    from dbx.ops.bisect import Bisected


@define()
@subject_options("TYPE ID")
@click.option(
    "--filter", "expression", metavar="EXPR", required=True, help="The condition, as 'dbx aggregate list' has it."
)
@click.option("--linear", is_flag=True, help="Look at every version: for conditions that come and go.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    expression: str,
    linear: bool,
) -> int:
    from dbx.ops.bisect import bisect
    from dbx.ops.veil import Veil

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened, progress(invocation, None, "folding") as bar:
        found = bisect(opened, kind, name, expression, linear=linear, progress=bar.update)
        aggregate = None if found.aggregate is None else Veil(opened).cover(found.aggregate)
    document = {
        "aggregate_type": kind,
        "aggregate_id": name,
        "filter": expression,
        "linear": linear,
        "found": found.aggregate is not None,
        **_value(found, aggregate),
        "versions": found.versions,
        "looked_at": found.looked_at,
    }
    emit(invocation, document, [_line(found, f"{kind}/{name}", linear=linear)])
    return 0 if found.aggregate is not None else 1


def _value(found: Bisected, aggregate: Aggregate | None) -> dict[str, Any]:
    if aggregate is None or found.event is None:
        return {"version": None, "event": None, "state": None}
    return {"version": aggregate.version, "event": event_value(found.event), "state": aggregate.state}


def _line(found: Bisected, name: str, *, linear: bool) -> str:
    if found.event is not None:
        return event_line(found.event)
    if linear:
        return f"it holds for none of the {found.versions} versions of {name}"
    return f"it does not hold for version {found.versions} of {name}, the latest; --linear looks at all of them"
