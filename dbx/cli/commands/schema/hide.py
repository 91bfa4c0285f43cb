"""Hide a field from listings of state, or a whole aggregate type."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import aggregate_words, schema_value, take_aggregate
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest
from dbx.errors import UsageError


@define()
@aggregate_words("TYPE [FIELD]")
@click.option("--field", metavar="FIELD", help="The field, instead of the argument.")
@click.option("--unhide", "--show", "unhide", is_flag=True, help="Show it again.")
@pass_invocation
def command(
    invocation: Invocation, words: tuple[str, ...], aggregate: str | None, field: str | None, unhide: bool
) -> None:
    from dbx.ops.schema import hide

    kind, rest = take_aggregate(words, aggregate)
    name = field if field is not None else rest.pop(0) if rest else None
    refuse_rest(rest)
    if name is not None and not name.strip():
        raise UsageError("the field is empty")
    with session(invocation) as opened:
        schema = hide(opened, kind, name, hidden=not unhide).schema
    about = f"aggregate={kind}" if name is None else f"aggregate={kind} field={name}"
    emit(invocation, schema_value(schema), [f"{about} {'unhidden' if unhide else 'hidden'}"])
