"""Say whether a token is good now and allows an action on a resource: exit 0 or 6."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.argument("token", metavar="[TOKEN|-]", required=False, type=params.SECRET)
@click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE.")
@click.option("--action", "actions", metavar="ACTION", multiple=True, help="What it is asked for; DBX_ACTION.")
@click.option("--resource", "resources", metavar="RESOURCE", multiple=True, help="On what; DBX_RESOURCE, or anything.")
@pass_invocation
def command(
    invocation: Invocation,
    token: str | None,
    token_file: str | None,
    actions: tuple[str, ...],
    resources: tuple[str, ...],
) -> None:
    from dbx.cli.tokens import take_token, words
    from dbx.ops.token import check_token

    text = take_token(invocation, token, token_file)
    asked, on = words(invocation, actions, "DBX_ACTION"), words(invocation, resources, "DBX_RESOURCE")
    with session(invocation) as opened:
        held = check_token(opened, text, asked, on)
    document = {"allowed": True, "jti": held.claims.token_id, "actions": list(asked), "resources": list(on)}
    emit(invocation, document, ["yes"])
