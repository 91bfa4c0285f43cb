"""Append an event to an aggregate, at once or staged; or stage many from JSON lines.

At once, the event is a commit of its own. Staged events wait for 'dbx commit', which commits them all or none.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.appended import show_event
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.eventinput import check_write, event_options, make_item, write_options
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject, take_word
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.repo.build import Existence

_MAX_ERRORS = 100


@define()
@subject_options("TYPE ID EVENT")
@click.option("--event", "event_type", metavar="EVENT", help="The event's type, instead of the argument.")
@event_options
@write_options("Stage the event for 'dbx commit'.")
@click.option("--create", is_flag=True, help="Create the aggregate if it does not exist.")
@click.option("--from", "source", metavar="FILE|-", help="With --stage: many events, one JSON object a line; or gzip.")
@click.option(
    "--max-errors",
    metavar="N",
    type=click.IntRange(min=1),
    default=_MAX_ERRORS,
    help="With --from: stop after N bad lines (default 100).",
)
@pass_invocation
def command(
    invocation: Invocation, /, words: tuple[str, ...], source: str | None, max_errors: int, **given: Any
) -> None:
    if source is None:
        _apply_one(invocation, words, **given)
        return
    for name, value in given.items():
        if value and name not in ("stage", "create", "dry_run"):
            raise UsageError(f"--from reads whole events: '{_spelling(name)}' cannot be used with it")
    refuse_rest(words)
    if not given["stage"]:
        raise UsageError("--from needs --stage", hint="stage the events, then commit them with 'dbx commit'")
    _stage_many(invocation, source, max_errors, dry_run=given["dry_run"])


def _apply_one(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    event_type: str | None,
    *,
    create: bool,
    stage: bool,
    message: str | None,
    dry_run: bool,
    publish: tuple[str, ...],
    **content: Any,
) -> None:
    check_write(publish, message, stage=stage)
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    event = take_word(rest, event_type, "event type")
    refuse_rest(rest)
    item = make_item(kind, name, event, **content)
    existence: Existence = "any" if create else "known"
    with session(invocation) as opened:
        if stage:
            from dbx.ops.stage import stage_event

            made = stage_event(opened, item, existence=existence, dry_run=dry_run)
        else:
            from dbx.ops.append import append_event

            made = append_event(opened, item, existence=existence, message=message, dry_run=dry_run, publish=publish)
        show_event(invocation, opened, made, stage=stage, dry_run=dry_run)


def _stage_many(invocation: Invocation, source: str, max_errors: int, *, dry_run: bool) -> None:
    from dbx.cli.progress import progress
    from dbx.ops.stage import stage_lines

    with (
        _opened(source) as (read, file, size),
        session(invocation) as opened,
        progress(invocation, size, "staging") as bar,
    ):
        done = stage_lines(opened, read, file=file, max_errors=max_errors, dry_run=dry_run, progress=bar.update)
    document = {
        "staged": 0 if dry_run else done.events,
        "events": done.events,
        "aggregates": done.aggregates,
        "total": done.total,
        "batch": done.batch or None,
        "dry_run": dry_run,
    }
    verb = "would stage" if dry_run else "staged"
    line = f"{verb} {done.events} event(s) of {done.aggregates} aggregate(s)"
    more = f"; {done.total} are staged in all" if done.total not in (0, done.events) else ""
    emit(invocation, document, [line + more])


@contextmanager
def _opened(source: str) -> Iterator[tuple[Callable[[int], bytes], int | None, int | None]]:
    """(read, the file's descriptor, how many bytes will come) of a file; of standard input only the first."""
    if source == "-":
        yield sys.stdin.buffer.read, None, None
        return
    with params.open_input(source) as file:
        yield file.read, file.fileno(), os.fstat(file.fileno()).st_size or None


def _spelling(name: str) -> str:
    spelled = {"fields": "--field", "event_type": "--event", "aggregate_type": "--aggregate"}
    return spelled.get(name, "--" + name.replace("_", "-").replace("expected", "expect"))
