"""Check events against the schema files, and store nothing.

One event with --event and --payload, a FILE of JSON lines, or with --history every stored event.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import aggregate_words, take_aggregate
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, take_word
from dbx.errors import UsageError

if TYPE_CHECKING:
    from dbx.ops.schemacheck import Checked

_MAX_JSON_BYTES = 4 * 1024 * 1024
_MAX_ERRORS = 100


@define()
@aggregate_words("[TYPE [EVENT] | FILE]")
@click.option("--event", metavar="EVENT", help="The event's type, instead of the argument.")
@click.option(
    "--payload", metavar="JSON|@FILE|-", type=params.Json("payload", _MAX_JSON_BYTES), help="The event's payload."
)
@click.option("--first", is_flag=True, help="As the first event of an aggregate.")
@click.option("--from", "source", metavar="FILE|-", help="Events as 'aggregate apply --from' takes them.")
@click.option("--history", is_flag=True, help="Every stored event, of TYPE or of all types.")
@click.option(
    "--max-errors", metavar="N", type=click.IntRange(min=1), default=_MAX_ERRORS, help="Tell N faults (default 100)."
)
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate: str | None,
    event: str | None,
    payload: Any,
    first: bool,
    source: str | None,
    history: bool,
    max_errors: int,
) -> int:
    single = event is not None or payload is not None or first
    if sum((single, source is not None, history)) > 1:
        raise UsageError("give one event, '--from' or '--history', not several of them")
    if len(words) == 1 and not (single or history or source) and _is_file(words[0]):
        source, words = words[0].removeprefix("@"), words[1:]
    if history:
        return _check_history(invocation, words, aggregate, max_errors)
    if source is not None:
        refuse_rest(words)
        return _check_lines(invocation, source, max_errors)
    kind, rest = take_aggregate(words, aggregate)
    name = take_word(rest, event, "event type")
    refuse_rest(rest)
    if payload is None:
        raise UsageError("'dbx schema validate' needs '--payload', '--from' or '--history'")
    return _check_one(invocation, kind, name, payload, first=first)


def _is_file(word: str) -> bool:
    """Whether a word that stands alone cannot be a type."""
    return word == "-" or any(sign in word for sign in "@./")


def _check_one(invocation: Invocation, kind: str, event: str, payload: Any, *, first: bool) -> int:
    from dbx.model.names import check_event_type
    from dbx.ops.schemacheck import validate_event

    event = check_event_type(event)
    with session(invocation) as opened:
        validate_event(opened, kind, event, payload, first=first)
    document = {"aggregate": kind, "event": event, "validation": "ok"}
    emit(invocation, document, [f"aggregate={kind} event={event} validation=ok"])
    return 0


def _check_lines(invocation: Invocation, source: str, max_errors: int) -> int:
    from dbx.cli.progress import progress
    from dbx.ops.schemacheck import validate_lines

    if source == "-":
        with session(invocation) as opened, progress(invocation, None, "validating") as bar:
            return _tell(invocation, validate_lines(opened, sys.stdin.buffer.read, max_errors, progress=bar.update))
    with (
        params.open_input(source) as file,
        session(invocation) as opened,
        progress(invocation, os.fstat(file.fileno()).st_size, "validating") as bar,
    ):
        return _tell(invocation, validate_lines(opened, file.read, max_errors, progress=bar.update))


def _check_history(invocation: Invocation, words: tuple[str, ...], aggregate: str | None, max_errors: int) -> int:
    from dbx.cli.progress import progress
    from dbx.ops.schemacheck import count_history, validate_history

    rest = list(words)
    kind = aggregate if aggregate is not None else rest.pop(0) if rest else None
    refuse_rest(rest)
    with session(invocation) as opened, progress(invocation, count_history(opened), "validating") as bar:
        return _tell(invocation, validate_history(opened, kind, max_errors, progress=bar.update))


def _tell(invocation: Invocation, done: Checked) -> int:
    """The faults are the answer: status 5, as for one event that is refused."""
    document = {
        "checked": done.checked,
        "valid": not done.invalid,
        "invalid": done.invalid,
        "faults": [fault._asdict() for fault in done.faults],
    }
    lines = [f"{fault.place}: {fault.message}" if fault.place else fault.message for fault in done.faults]
    if done.invalid > len(done.faults):
        lines.append(f"… and {done.invalid - len(done.faults)} more")
    lines.append(f"checked {done.checked} event(s), {done.invalid} invalid")
    emit(invocation, document, lines)
    return 5 if done.invalid else 0
