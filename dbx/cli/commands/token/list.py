"""List the tokens that were issued."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.cli.tokens import token_lines, token_value
    from dbx.ops.token import list_tokens

    with session(invocation) as opened:
        found = list_tokens(opened)
    lines = [line for held, status in found for line in token_lines(held, status)] or ["no issued tokens"]
    emit(invocation, [token_value(held, status) for held, status in found], lines)
