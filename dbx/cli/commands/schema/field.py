"""Change a column: its type, its rules, its lock.

Single rules are merged into those that are there. A new type keeps the rules; those that do not fit it are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.fieldoptions import field_options, make_change
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import aggregate_words, schema_value, take_aggregate, take_last
from dbx.cli.session import session

if TYPE_CHECKING:
    pass


@define()
@aggregate_words("TYPE FIELD")
@click.option("--field", metavar="FIELD", help="The field, instead of the argument.")
@field_options
@pass_invocation
def command(
    invocation: Invocation, /, words: tuple[str, ...], aggregate: str | None, field: str | None, **given: Any
) -> None:
    from dbx.ops.schema import change_field

    kind, rest = take_aggregate(words, aggregate)
    name = take_last(rest, field, "field")
    change = make_change(given)
    with session(invocation) as opened:
        working, done = change_field(opened, kind, name, change)
    emit(invocation, schema_value(working.schema), [f"aggregate={kind} field={name} {' '.join(done)}"])
