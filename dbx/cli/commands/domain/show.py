"""Show where a domain came from, where it stands and how large it is."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, fields
from dbx.cli.session import session
from dbx.cli.shapes import head_value


@define()
@click.argument("name", metavar="[DOMAIN]", required=False, type=params.DOMAIN)
@pass_invocation
def command(invocation: Invocation, name: str | None) -> None:
    from dbx.ops.domain import show_domain

    with session(invocation) as opened:
        found = show_domain(opened, name)
    head = head_value(found.survey.head)
    document = {
        "domain": found.domain,
        "id": found.id,
        "active": found.active,
        "path": found.path,
        "created_at": found.created_at,
        "forked_from": found.forked_from,
        "head": head,
        "events": found.survey.events,
        "aggregates": found.survey.aggregates,
        "archived": found.archived,
        "bytes": found.bytes,
    }
    shown = {**document, "head": head["id"] if head else None, "commits": head["seq"] + 1 if head else 0}
    if found.forked_from is not None:
        shown["forked_from"] = f"{found.forked_from.get('domain')}@{found.forked_from.get('commit') or '-'}"
    emit(invocation, document, fields(shown))
