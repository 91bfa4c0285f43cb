"""Show which version is in force, and how the files differ from it."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.schemashapes import domain_argument
from dbx.cli.session import session


@define()
@domain_argument
@pass_invocation
def command(invocation: Invocation, domain: str | None) -> None:
    from dbx.ops.schemaversions import get_status

    invocation.domain = domain or invocation.domain
    with session(invocation) as opened:
        found = get_status(opened)
        name = opened.domain.name
    version = None if found.head is None else found.head.id
    changes = {"added": found.added, "changed": found.changed, "removed": found.removed}
    lines = [f"domain={name} version={version or '-'} published={'true' if found.is_published else 'false'}"]
    lines += [f"  {what}: {aggregate}" for what, aggregates in changes.items() for aggregate in aggregates]
    document = {"domain": name, "active_version": version, "published": found.is_published, **changes}
    emit(invocation, document, lines)
