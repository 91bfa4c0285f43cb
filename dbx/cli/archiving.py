"""What `aggregate archive` and `aggregate restore` have in common, which is everything but the direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from dbx.cli.appended import show_done
from dbx.cli.eventinput import expect_option
from dbx.cli.render import note
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.cli.context import Invocation

    F = TypeVar("F", bound=Callable[..., Any])


def archive_options(function: F) -> F:
    """Decorator: the arguments and options of both commands."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Check everything, and write nothing."),
        click.option("--message", "-m", metavar="TEXT", help="The message of the commit (without --stage)."),
        click.option("--stage", is_flag=True, help="Stage the event for 'dbx commit'."),
        expect_option,
        click.option("--comment", metavar="TEXT", help="Why, at most 128 characters; the note of the event."),
        subject_options("TYPE ID"),
    ):
        function = option(function)
    return function


def set_archived(
    invocation: Invocation,
    words: Sequence[str],
    *,
    archived: bool,
    aggregate_type: str | None,
    aggregate_id: str | None,
    comment: str | None,
    stage: bool,
    message: str | None,
    dry_run: bool,
    expected_version: int | None,
) -> None:
    """Archive or restore, and show what the aggregate is now."""
    from dbx.cli.shapes import event_value
    from dbx.formats import canonical
    from dbx.ops import change

    if stage and message is not None:
        raise UsageError("a staged event has no message of its own", hint="give it to the commit: dbx commit -m TEXT")
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    if comment is not None:
        comment = canonical.normalise(comment, what="the comment")
    manner = change.Manner(stage, message, dry_run, expected_version)
    with session(invocation) as opened:
        done = change.set_archived(opened, kind, name, archived=archived, comment=comment, manner=manner)
        values: dict[str, object] = {"aggregate_type": kind, "aggregate_id": name, "archived": archived}
        shown = values if comment is None else {**values, "comment": comment}
        document = {
            **values,
            "version": done.version,
            "comment": comment,
            "changed": done.event is not None,
            "event": None if done.event is None else event_value(done.event),
        }
        changed = done.event is not None
        if not changed:
            note(invocation, f"aggregate '{kind}/{name}' was {'archived' if archived else 'active'} before")
        show_done(invocation, opened, document, shown, stage=stage and changed, dry_run=dry_run)
