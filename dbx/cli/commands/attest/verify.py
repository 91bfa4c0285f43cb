"""Verify an attestation or a certificate: what it says, and who signed it.

Needs no repository when the key is given.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.attestation import attested_value, certified_lines, certified_value
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session_if_any

_MAX_BYTES = 4 << 20


@define()
@click.argument("file", metavar="FILE|-")
@click.option("--key", "keys", metavar="VKEY", multiple=True, help="A key that you trust; those known here by default.")
@click.pass_context
@pass_invocation
def command(invocation: Invocation, ctx: click.Context, file: str, keys: tuple[str, ...]) -> None:
    from dbx.model.redaction import Certified
    from dbx.ops.attest import verify_attestation

    data = params.read_input(ctx, file, _MAX_BYTES, "the attestation")
    with session_if_any(invocation) as opened:
        attested = verify_attestation(opened, data, keys)
    if isinstance(attested, Certified):
        emit(invocation, certified_value(attested), certified_lines(attested))
        return
    found = attested.found
    lines = [
        f"{found.group}:{found.user} verified {attested.checkpoint.origin} at {found.time}: {found.result}",
        f"{found.events} events in {found.commits} commits, {found.findings} errors"
        + (", without looking at events" if found.quick else ""),
        *(f"signed by {key.name}" for key in attested.signers),
    ]
    emit(invocation, attested_value(attested, None), lines)
