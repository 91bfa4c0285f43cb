"""`dbx schema show TYPE`, which `dbx schema TYPE` is short for."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli import complete
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import Command, define
from dbx.cli.render import emit, json_text
from dbx.cli.schemashapes import schema_value, version_value
from dbx.cli.session import session
from dbx.errors import NotFound


def make_command(text: str) -> Command:
    """The command; `text` is its help."""

    @define(help=text)
    @click.argument("aggregate", metavar="[TYPE]", required=False, shell_complete=complete.complete_schema)
    @click.option(
        "--version",
        metavar="VERSION",
        shell_complete=complete.complete_schema_version,
        help="As published: active, latest, or (the beginning of) an id.",
    )
    @pass_invocation
    def command(invocation: Invocation, aggregate: str | None, version: str | None) -> None:
        document = _version(invocation, aggregate, version) if version or aggregate is None else None
        if document is None:
            from dbx.ops.schema import get_schema

            with session(invocation) as opened:
                document = schema_value(get_schema(opened, str(aggregate)).schema)
        emit(invocation, document, [json_text(document, pretty=True)])

    return command


def _version(invocation: Invocation, aggregate: str | None, spelled: str | None) -> dict[str, Any]:
    from dbx.model.names import check_type
    from dbx.ops.schemaversions import get_version

    with session(invocation) as opened:
        active, _ = get_version(opened, "active")
        found, documents = get_version(opened, spelled or "active")
    if aggregate is None:
        return {**version_value(found, active=found.id == active.id), "documents": documents}
    if check_type(aggregate) not in documents:
        raise NotFound(f"schema version '{found.id[:12]}' has no schema of '{aggregate}'")
    document: dict[str, Any] = documents[aggregate]
    return document
