"""Show a commit, an event, or an aggregate at a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.complete import complete_ref
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.history import commit_lines
from dbx.cli.listing import event_lines, event_pairs
from dbx.cli.render import emit, json_text, paint, pairs
from dbx.cli.session import session
from dbx.cli.shapes import aggregate_value, commit_value, event_value, tag_value
from dbx.cli.text import escape
from dbx.errors import UsageError

if TYPE_CHECKING:
    from dbx.ops.show import ShownCommit
    from dbx.ops.tag import Tag

_TYPE_AND_ID = 2


@define()
@click.argument("words", nargs=-1, metavar="[REF|COMMIT|EVENT_ID|TYPE/ID[@VERSION]]", shell_complete=complete_ref)
@pass_invocation
def command(invocation: Invocation, words: tuple[str, ...]) -> None:
    from dbx.model.event import Aggregate
    from dbx.ops.show import ShownCommit, find_object
    from dbx.ops.veil import Veil

    if len(words) > _TYPE_AND_ID:
        raise UsageError(f"unexpected argument '{words[_TYPE_AND_ID]}' for 'dbx show'", hint="run 'dbx show --help'")
    with session(invocation) as opened:
        found = find_object(opened, "/".join(words) or "HEAD")
        if isinstance(found, Aggregate):
            found = Veil(opened).cover(found)
    if isinstance(found, ShownCommit):
        emit(invocation, _commit_value(found), _commit_lines(invocation, found))
    elif isinstance(found, Aggregate):
        document = aggregate_value(found)
        emit(invocation, {"kind": "aggregate", **document}, [json_text(document, pretty=True)])
    else:
        emit(invocation, {"kind": "event", **event_value(found)}, event_lines(found))


def _commit_value(shown: ShownCommit) -> dict[str, Any]:
    tag = {} if shown.tag is None else {"tag": tag_value(shown.tag)}
    return {
        "kind": "commit",
        **commit_value(shown.commit, shown.id),
        **tag,
        "aggregates": shown.summary.aggregates,
        "summary": [count._asdict() for count in shown.summary.counts],
        "first_events": [event_value(event) for event in shown.events],
    }


def _commit_lines(invocation: Invocation, shown: ShownCommit) -> list[str]:
    summary = shown.summary
    over = "1 aggregate" if summary.aggregates == 1 else f"{summary.aggregates} aggregates"
    lines = [*_tag_lines(invocation, shown.tag), *commit_lines(invocation, shown.commit, shown.id), "", f"{over}:"]
    width = max(len(str(count.events)) for count in summary.counts)
    lines += [f"  {c.events:>{width}} {c.aggregate_type} {c.event_type}" for c in summary.counts]
    lines += ["", *(pairs(event_pairs(event)) for event in shown.events)]
    rest = shown.commit.count - len(shown.events)
    if rest:
        last = shown.events[-1].position
        lines.append(f"… and {rest} more: dbx events --cursor e:{last} --take {rest}")
    return lines


def _tag_lines(invocation: Invocation, tag: Tag | None) -> list[str]:
    if tag is None:
        return []
    lines = [paint(invocation, f"tag {tag.name}", "yellow") + (" (signed)" if tag.signed else "")]
    if tag.actor is not None:
        lines += [f"Tagger: {escape(tag.actor.group)}:{escape(tag.actor.user)}", f"Time:   {tag.tagged_at}"]
    return [*lines, *(["", f"    {escape(tag.message)}"] if tag.message else []), ""]
