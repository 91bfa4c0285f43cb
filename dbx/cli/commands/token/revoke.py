"""Revoke a token, in every domain, from now on."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, note
from dbx.cli.session import session


@define()
@click.argument("token", metavar="[TOKEN|JTI|-]", required=False, type=params.SECRET)
@click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE.")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is kept.")
@pass_invocation
def command(invocation: Invocation, token: str | None, token_file: str | None, reason: str) -> None:
    from dbx.cli.tokens import take_token
    from dbx.model.time import format_time
    from dbx.ops.token import revoke_token

    text = take_token(invocation, token, token_file)
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
