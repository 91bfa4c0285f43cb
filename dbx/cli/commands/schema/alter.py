"""Change the list of fields that an event may set; without a list it may set any."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs
from dbx.cli.schemashapes import aggregate_words, split_list, take_aggregate, take_last
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@aggregate_words("TYPE EVENT")
@click.option("--event", metavar="EVENT", help="The event, instead of the argument.")
@click.option("--add", metavar="FIELD[,FIELD]", multiple=True, help="Put fields on the list. Repeatable.")
@click.option("--remove", metavar="FIELD[,FIELD]", multiple=True, help="Take fields off the list. Repeatable.")
@click.option("--set", "exactly", metavar="FIELD[,FIELD]", multiple=True, help="Make these the list.")
@click.option("--clear", is_flag=True, help="Drop the list: any field may be set.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate: str | None,
    event: str | None,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    exactly: tuple[str, ...],
    clear: bool,
) -> None:
    from dbx.model.names import check_event_type
    from dbx.ops.schema import alter_event

    if sum((bool(add or remove), bool(exactly), clear)) > 1:
        raise UsageError("--set, --clear, and --add with --remove exclude each other")
    if not (add or remove or exactly or clear):
        raise UsageError("no changes requested; pass --add, --remove, --set or --clear")
    kind, rest = take_aggregate(words, aggregate)
    name = check_event_type(take_last(rest, event, "event"))
    wanted = [] if clear else split_list(exactly) if exactly else None
    with session(invocation) as opened:
        fields = alter_event(opened, kind, name, add=split_list(add), remove=split_list(remove), exactly=wanted)
    text: dict[str, object] = {"aggregate": kind, "event": name}
    if add:
        text["added"] = ",".join(split_list(add))
    if remove:
        text["removed"] = ",".join(split_list(remove))
    if wanted is not None:
        text["fields"] = ",".join(fields) or "cleared"
    emit(invocation, {"aggregate": kind, "event": name, "fields": fields}, [pairs(text)])
