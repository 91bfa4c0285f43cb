"""Publish the schemas: what the files say becomes a version that commits can name."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import domain_argument, parse_actor, reason_options, split_list, version_value
from dbx.cli.session import session


@define()
@domain_argument
@reason_options
@click.option("--label", metavar="LABEL[,LABEL]", multiple=True, help="A word to find the version by. Repeatable.")
@click.option("--force", is_flag=True, help="Also when nothing changed, or when it contradicts what is stored.")
@click.option("--activate", is_flag=True, help="Put it in force, as publishing always does.")
@pass_invocation
def command(
    invocation: Invocation,
    domain: str | None,
    reason: str | None,
    actor: str | None,
    label: tuple[str, ...],
    force: bool,
    activate: bool,
) -> None:
    from dbx.ops.schemaversions import publish_schemas

    invocation.domain = domain or invocation.domain
    by = parse_actor(actor)
    with session(invocation) as opened:
        done = publish_schemas(opened, reason=reason, actor=by, labels=split_list(label), force=force)
        name = opened.domain.name
    version = done.published.id
    text = f"published version={version} (activated)"
    if not done.is_new:
        text = f"no schema changes detected; version={version} retained"
    emit(invocation, {**version_value(done.published, active=True), "new": done.is_new}, [f"domain={name} {text}"])
