"""Issue a token, and print it: it is stored nowhere."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.option("-g", "--group", metavar="GROUP", required=True, help="The group of its holder.")
@click.option("-u", "--user", metavar="USER", required=True, help="Its holder.")
@click.option("--action", "actions", metavar="ACTION", multiple=True, help="What it allows; DBX_ACTION by default.")
@click.option(
    "-d", "--domain", "--tenant", "tenants", metavar="NAME", multiple=True, help="Only in this domain; any by default."
)
@click.option(
    "--resource", "resources", metavar="PATTERN", multiple=True, help="Only on these; DBX_RESOURCE or all by default."
)
@click.option("--subject", metavar="TEXT", help="Its subject; GROUP:USER by default.")
@click.option("--ttl", metavar="DURATION", type=params.DURATION, help="How long it lasts (default 1h; 0 for ever).")
@click.option("--not-before", metavar="TIME", help="From when on it is good.")
@click.option("--write-limit", metavar="N", type=click.IntRange(0, 2**53 - 1), help="So many events may be written.")
@click.option("--keep-alive", is_flag=True, help="Use prolongs its life.")
@click.option("--issued-by", metavar="TEXT", default="cli", help="Who issues it (default cli).")
@click.option("--env", "environment", metavar="NAME", help="Only in domains of this environment.")
@pass_invocation
def command(
    invocation: Invocation,
    group: str,
    user: str,
    actions: tuple[str, ...],
    tenants: tuple[str, ...],
    resources: tuple[str, ...],
    subject: str | None,
    ttl: int | None,
    not_before: str | None,
    write_limit: int | None,
    keep_alive: bool,
    issued_by: str,
    environment: str | None,
) -> None:
    from dbx.cli.tokens import token_lines, token_value, words
    from dbx.errors import UsageError
    from dbx.model.names import check_domain_name
    from dbx.ops.token import generate_token
    from dbx.repo.security.tokens import DEFAULT_TTL_S, Wanted, parse_start

    wanted = Wanted(
        group,
        user,
        words(invocation, actions, "DBX_ACTION"),
        words(invocation, resources, "DBX_RESOURCE") or ("*",),
        tuple(check_domain_name(name.lower()) for name in words(invocation, tenants, "")),
        subject,
        DEFAULT_TTL_S if ttl is None else ttl,
        None if not_before is None else parse_start(not_before),
        write_limit,
        keep_alive,
        issued_by,
        environment,
    )
    if not wanted.actions:
        raise UsageError("at least one --action must be provided", hint="for example --action aggregate.read")
    with session(invocation) as opened:
        made = generate_token(opened, wanted)
    status = "active"
    emit(invocation, token_value(made.held, status, made.text), token_lines(made.held, status, made.text))
