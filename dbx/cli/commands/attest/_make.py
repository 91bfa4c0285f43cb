"""Check the whole domain and sign the result, good or bad."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.attestation import attested_value
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.signing import prepare_key
from dbx.errors import Corrupt


@define()
@click.option("--quick", is_flag=True, help="Check files, frames and the chain of commits; no events.")
@params.out_option("Write the attestation to FILE as well.")
@pass_invocation
def command(invocation: Invocation, quick: bool, out: str | None) -> int:
    from dbx.ops.attest import make_attestation

    with session(invocation) as opened, progress(invocation, None, "checking") as bar:
        prepare_key(invocation, opened)

        def begin(events: int) -> None:
            bar.total, bar.done = events, 0

        made = make_attestation(opened, quick=quick, out=out, begin=begin, progress=bar.update)
    found = made.attested.found
    lines = [
        f"{found.result}: {found.events} events in {found.commits} commits, {found.findings} errors",
        f"attested in '{made.path}'",
    ]
    if found.findings:
        lines.append("run 'dbx fsck' to see what is damaged")
    emit(invocation, attested_value(made.attested, made.path), lines)
    return Corrupt.status if found.findings else 0
