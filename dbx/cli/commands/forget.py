"""Erase the bodies of all events about a person for good."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.params import read_input
from dbx.cli.progress import progress
from dbx.cli.redacting import carry_out, redact_options
from dbx.cli.session import session
from dbx.errors import UsageError

_MOST = 4096


@define()
@click.option(
    "--subject", metavar="VALUE", required=True, help="Whom: the value of a field marked 'pii: subject'; - reads it."
)
@redact_options
@click.pass_context
@pass_invocation
def command(invocation: Invocation, ctx: click.Context, /, subject: str, **given: Any) -> int:
    from dbx.ops.redact import plan_subject

    if subject == "-":
        subject = read_input(ctx, "-", _MOST, "the subject").decode("utf-8", "replace").rstrip("\r\n")
    if not subject:
        raise UsageError("'--subject' must not be empty")
    with session(invocation) as opened:
        with progress(invocation, None, "looking") as bar:
            plan = plan_subject(opened, subject, progress=bar.update)
        return carry_out(invocation, opened, plan, **given)
