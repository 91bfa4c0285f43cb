"""Let no event set a field, or none at all be written to an aggregate type."""

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
@click.option("--unlock", "unlock", is_flag=True, help="Allow it again.")
@pass_invocation
def command(
    invocation: Invocation, words: tuple[str, ...], aggregate: str | None, field: str | None, unlock: bool
) -> None:
    from dbx.ops.schema import lock

    kind, rest = take_aggregate(words, aggregate)
    name = field if field is not None else rest.pop(0) if rest else None
    refuse_rest(rest)
    if name is not None and not name.strip():
        raise UsageError("the field is empty")
    with session(invocation) as opened:
        schema = lock(opened, kind, name, locked=not unlock).schema
    about = f"aggregate={kind}" if name is None else f"aggregate={kind} field={name}"
    emit(invocation, schema_value(schema), [f"{about} locked={'false' if unlock else 'true'}"])
