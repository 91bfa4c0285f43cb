"""List commits, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.complete import complete_ref, complete_type
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.history import change_lines, commit_lines, commit_summary, patch_lines
from dbx.cli.render import emit_stream
from dbx.cli.session import session
from dbx.cli.shapes import commit_value, event_value
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbx.ops.log import Found


@define()
@click.argument("words", nargs=-1, metavar="[RANGE]", shell_complete=complete_ref)
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=1), metavar="N", help="At most N commits.")
@click.option("--oneline", is_flag=True, help="Each commit on one line.")
@click.option("--stat", is_flag=True, help="Which aggregates each commit brought forward, and how far.")
@click.option("-p", "--patch", is_flag=True, help="The events of each commit.")
@click.option(
    "--aggregate", metavar="TYPE[/ID]", shell_complete=complete_type, help="Commits with events of that aggregate."
)
@click.option(
    "--aggregate-id", "--id", metavar="ID", type=params.ID, help="The id, where --aggregate gives the type alone."
)
@click.option("--since", metavar="TIME", help="From this time on: a date, an RFC 3339 time, or how long ago.")
@click.option("--until", metavar="TIME", help="Up to this time.")
@click.option("--actor", metavar="[GROUP:]USER", help="Commits by this actor.")
@click.option("--reverse", is_flag=True, help="Oldest first.")
@click.option("--jsonl", is_flag=True, help="Print one JSON document a line.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    limit: int | None,
    oneline: bool,
    stat: bool,
    patch: bool,
    aggregate: str | None,
    aggregate_id: str | None,
    since: str | None,
    until: str | None,
    actor: str | None,
    reverse: bool,
    jsonl: bool,
) -> None:
    from dbx.ops.log import LogQuery, list_commits, take_id

    kind, name = _aggregate(aggregate, aggregate_id)
    with session(invocation) as opened:
        rest = list(words)
        if kind is not None and name is None:
            name = take_id(opened, kind, rest)
        if len(rest) > 1:
            raise UsageError(f"unexpected argument '{rest[1]}' for 'dbx log'", hint="run 'dbx log --help'")
        asked = LogQuery(rest[0] if rest else None, kind, name, since, until, actor)
        found = list_commits(opened, asked, limit=limit, oldest_first=reverse)
        if invocation.json or jsonl:
            values = (_value(each, stat=stat, patch=patch) for each in found)
            emit_stream(invocation, values, lambda _: "", jsonl=jsonl)
        else:
            lines = _lines(invocation, found, oneline=oneline, stat=stat, patch=patch)
            emit_stream(invocation, lines, lambda line: line, empty="no commits")


def _aggregate(aggregate: str | None, aggregate_id: str | None) -> tuple[str | None, str | None]:
    """(type, id) that the options give."""
    from dbx.ops.log import split_aggregate

    if aggregate is None:
        if aggregate_id is not None:
            raise UsageError("--aggregate-id needs --aggregate, which gives the type")
        return None, None
    kind, name = split_aggregate(aggregate)
    if name is not None and aggregate_id is not None:
        raise UsageError("--aggregate gives the id already, so that --aggregate-id does not go with it")
    return kind, name or aggregate_id


def _value(found: Found, *, stat: bool, patch: bool) -> dict[str, Any]:
    from dbx.ops.log import changes_of, events_of

    value = commit_value(found.entry.commit, found.entry.id.hex())
    if stat:
        value["stat"] = [change._asdict() for change in changes_of(found)]
    if patch:
        value["patch"] = [event_value(event) for event in events_of(found)]
    return value


def _lines(
    invocation: Invocation, commits: Iterable[Found], *, oneline: bool, stat: bool, patch: bool
) -> Iterator[str]:
    from dbx.ops.log import changes_of, events_of

    for number, found in enumerate(commits):
        commit, commit_id, _ = found.entry
        if oneline:
            yield commit_summary(invocation, commit, commit_id.hex())
        else:
            if number:
                yield ""
            yield from commit_lines(invocation, commit, commit_id.hex())
        if stat:
            yield from change_lines(changes_of(found))
        if patch:
            for event in events_of(found):
                yield from patch_lines(invocation, event)
