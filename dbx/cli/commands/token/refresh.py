"""Replace a token by one with the same rights; the old one is revoked."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, write
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.argument("named", metavar="[TOKEN|JTI|-]", required=False, type=params.SECRET)
@click.option("--token", metavar="TOKEN|JTI", type=params.SECRET, help="The token, instead of the argument.")
@click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE.")
@click.option("--ttl", metavar="DURATION", type=params.DURATION, help="How long the new one lasts; as the old one did.")
@pass_invocation
def command(
    invocation: Invocation, named: str | None, token: str | None, token_file: str | None, ttl: int | None
) -> None:
    from dbx.cli.tokens import take_token, token_lines, token_value
    from dbx.ops.token import refresh_token

    if named is not None and token is not None:
        raise UsageError("the token is given twice, as an argument and with --token")
    text = take_token(invocation, token if named is None else named, token_file)
    with session(invocation) as opened:
        made = refresh_token(opened, text, ttl)
    if not invocation.json:
        write("issued replacement token:\n")
    emit(invocation, token_value(made.held, "active", made.text), token_lines(made.held, "active", made.text))
