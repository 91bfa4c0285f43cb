"""Hide a field from listings of state, or a whole aggregate type."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import field_options, schema_value, take_field
from dbx.cli.session import session


@define()
@field_options
@click.option("--unhide", "--show", "unhide", is_flag=True, help="Show it again.")
@pass_invocation
def command(
    invocation: Invocation, words: tuple[str, ...], aggregate: str | None, field: str | None, unhide: bool
) -> None:
    from dbx.ops.schema import hide

    kind, name, about = take_field(words, aggregate, field)
    with session(invocation) as opened:
        schema = hide(opened, kind, name, hidden=not unhide).schema
    emit(invocation, schema_value(schema), [f"{about} {'unhidden' if unhide else 'hidden'}"])
