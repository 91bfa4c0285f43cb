"""Revoke a token, in every domain, from now on."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, note
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.argument("named", metavar="[TOKEN|JTI|-]", required=False, type=params.SECRET)
@click.option("--token", metavar="TOKEN|JTI", type=params.SECRET, help="The token, instead of the argument.")
@click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE.")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is kept.")
@pass_invocation
def command(invocation: Invocation, named: str | None, token: str | None, token_file: str | None, reason: str) -> None:
    from dbx.cli.tokens import take_token
    from dbx.model.time import format_time
    from dbx.ops.token import revoke_token

    if named is not None and token is not None:
        raise UsageError("the token is given twice, as an argument and with --token")
    text = take_token(invocation, token if named is None else named, token_file)
    with session(invocation) as opened:
        done = revoke_token(opened, text, reason)
    document = {
        "jti": done.token_id,
        "revoked": True,
        "reason": done.reason,
        "revoked_at": format_time(done.revoked_at * 1_000_000),
    }
    emit(invocation, document, [f"revoked {done.token_id}"])
    if not done.changed:
        note(invocation, "it was revoked already")
