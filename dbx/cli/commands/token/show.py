"""Explain in words what a token may do, and whether it is good."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape


@define()
@click.argument("token", metavar="[TOKEN|JTI|-]", required=False, type=params.SECRET)
@click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE.")
@pass_invocation
def command(invocation: Invocation, token: str | None, token_file: str | None) -> None:
    from dbx.cli.tokens import take_token, token_lines, token_value
    from dbx.ops.token import show_token

    text = take_token(invocation, token, token_file)
    with session(invocation) as opened:
        found = show_token(opened, text)
    document = token_value(found.held, found.status) | {
        "valid": found.reason is None,
        "reason": found.reason,
        "may": found.may,
    }
    said = "it is good now" if found.reason is None else found.reason
    lines = [*token_lines(found.held, found.status), escape(said), *(escape(line) for line in found.may)]
    emit(invocation, document, lines)
