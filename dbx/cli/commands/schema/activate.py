"""Put a published version in force again, by publishing what it says once more."""

from __future__ import annotations

import click

from dbx.cli import complete
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import parse_actor, reason_options, version_value
from dbx.cli.session import session


@define()
@reason_options
@click.argument("word", metavar="[DOMAIN|VERSION]", required=False)
@click.option(
    "--version",
    metavar="VERSION",
    shell_complete=complete.complete_schema_version,
    help="Which; latest by default.",
)
@click.option("--force", is_flag=True, help="Drop unpublished changes of the schema files.")
@pass_invocation
def command(
    invocation: Invocation,
    word: str | None,
    reason: str | None,
    actor: str | None,
    version: str | None,
    force: bool,
) -> None:
    from dbx.ops.schemaversions import activate_version, take_version

    by = parse_actor(actor)
    with session(invocation) as found:
        opened, version = take_version(found, word, version)
        target, done = activate_version(opened, version, reason=reason, actor=by, force=force)
        name = opened.domain.name
    text = f"activated as {done.published.id}" if done.is_new else "already in force"
    document = {**version_value(done.published, active=True), "new": done.is_new, "restored": target.id}
    emit(invocation, document, [f"domain={name} version={target.id} {text}"])
