"""Look for what is wrong with the schemas: faults, ambiguities, and what contradicts what is stored."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli import complete
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, paint
from dbx.cli.session import session


@define()
@click.argument("aggregate", metavar="[TYPE]", required=False, shell_complete=complete.complete_schema)
@pass_invocation
def command(invocation: Invocation, aggregate: str | None) -> int:
    from dbx.ops.schemacheck import FILE_FAULT, lint_schemas

    with session(invocation) as opened:
        found = lint_schemas(opened, aggregate)
    emit(invocation, {"findings": found}, [_line(invocation, one) for one in found] or ["no findings"])
    if any(one["code"] == FILE_FAULT for one in found):
        return 5
    return 1 if found else 0


def _line(invocation: Invocation, one: dict[str, Any]) -> str:
    level = "error" if one["blocks"] else "warning"
    place = f"{one['file']}:{one['line']}:{one['column']}: " if one.get("file") else ""
    return f"{paint(invocation, level, 'red' if one['blocks'] else 'yellow')}: {place}{one['message']}"
