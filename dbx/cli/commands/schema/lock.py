"""Let no event set a field, or none at all be written to an aggregate type."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import field_options, schema_value, take_field
from dbx.cli.session import session


@define()
@field_options
@click.option("--unlock", "unlock", is_flag=True, help="Allow it again.")
@pass_invocation
def command(
    invocation: Invocation, words: tuple[str, ...], aggregate: str | None, field: str | None, unlock: bool
) -> None:
    from dbx.ops.schema import lock

    kind, name, about = take_field(words, aggregate, field)
    with session(invocation) as opened:
        schema = lock(opened, kind, name, locked=not unlock).schema
    emit(invocation, schema_value(schema), [f"{about} locked={'false' if unlock else 'true'}"])
