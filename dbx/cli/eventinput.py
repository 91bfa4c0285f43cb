"""The options that say what is in an event: --field, --payload, --metadata, --note."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from dbx.cli import complete, params
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

MAX_JSON_BYTES = 4 * 1024 * 1024  # as long as a line of --from may be; the limits of the event come later


def expect_option(function: F) -> F:
    """Decorator: `expected_version`, None for any."""
    return click.option(
        "--expect-version",
        "expected_version",
        metavar="N",
        type=click.IntRange(min=0),
        help="Fail with 4 unless the aggregate is at version N; 0: does not exist.",
    )(function)


def publish_option(function: F) -> F:
    """Decorator: `publish`, which plugins get the event."""
    return click.option(
        "--publish",
        metavar="PLUGIN[:MODE[:PRIORITY]]",
        multiple=True,
        shell_complete=complete.complete_plugin,
        help="Let only this plugin have it, in MODE, with priority low, normal or high. Repeatable.",
    )(function)


def write_options(what_stage_does: str) -> Callable[[F], F]:
    """Decorator: `expected_version`, `publish`, `stage`, `message`, `dry_run`, of commands that write one."""

    def decorate(function: F) -> F:
        for option in (
            click.option("--dry-run", is_flag=True, help="Check everything, and write nothing."),
            click.option("--message", "-m", metavar="TEXT", help="The message of the commit (without --stage)."),
            click.option("--stage", is_flag=True, help=what_stage_does),
            publish_option,
            expect_option,
        ):
            function = option(function)
        return function

    return decorate


def check_write(publish: tuple[str, ...], message: str | None, *, stage: bool) -> None:
    """What a staged event cannot have: plugins of its own, since all get it once committed, and a message.

    Raises UsageError.
    """
    if not stage:
        return
    if publish:
        raise UsageError("--publish cannot be used with --stage", hint="all plugins get what is committed later")
    if message is not None:
        raise UsageError("a staged event has no message of its own", hint="give it to the commit: dbx commit -m TEXT")


def about_options(function: F) -> F:
    """Decorator: `metadata` and `note`, for `make_item`."""
    function = click.option("--note", metavar="TEXT", help="A remark, at most 128 characters.")(function)
    return click.option(
        "--metadata",
        metavar="JSON|@FILE|-",
        type=params.Json("metadata", MAX_JSON_BYTES),
        help="An object whose keys begin with '@'.",
    )(function)


def event_options(function: F) -> F:
    """Decorator: `field`, `payload`, `metadata` and `note`, for `make_item`."""
    function = about_options(function)
    for option in (
        click.option(
            "--payload",
            metavar="JSON|@FILE|-",
            type=params.Json("payload", MAX_JSON_BYTES),
            help="The whole payload, an object; '-' reads standard input.",
        ),
        click.option(
            "--field",
            "fields",
            metavar="KEY=VALUE",
            type=params.FIELD,
            multiple=True,
            help="One member of the payload, as text; KEY:=JSON for any other value. Repeatable.",
        ),
    ):
        function = option(function)
    return function


def make_item(
    aggregate_type: str,
    aggregate_id: str,
    event_type: str,
    *,
    fields: tuple[tuple[str, Any], ...] = (),
    payload: object = None,
    metadata: object,
    note: str | None,
    expected_version: int | None = None,
) -> dict[str, Any]:
    """The event as an object with the members that `apply --from` takes. Raises UsageError, Invalid."""
    from dbx.formats import canonical
    from dbx.model.names import check_event_type

    if fields and payload is not None:
        raise UsageError("--payload cannot be used together with --field")
    item: dict[str, Any] = {
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "event_type": check_event_type(event_type),
        # What was typed may hold what no JSON text may: bytes that are no UTF-8, noncharacters.
        "payload": canonical.normalise(params.fields_of(fields), what="the payload") if payload is None else payload,
    }
    if metadata is not None:
        item["metadata"] = metadata
    if note is not None:
        item["note"] = canonical.normalise(note, what="the note")
    if expected_version is not None:
        item["expected_version"] = expected_version
    return item
