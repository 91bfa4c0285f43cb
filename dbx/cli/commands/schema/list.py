"""List the schemas."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs
from dbx.cli.schemashapes import schema_value
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.schema import list_schemas

    with session(invocation) as opened:
        found = [working.schema for working in list_schemas(opened)]
    lines = [
        pairs(
            {
                "schema": schema.aggregate,
                "events": len(schema.events),
                "locked": schema.locked,
                "snapshot_threshold": schema.snapshot_threshold,
            }
        )
        for schema in found
    ]
    emit(invocation, [schema_value(schema) for schema in found], lines)
