"""Prove an event: what it says, when and by whom it was recorded, and that it still stands."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.proof import emit_proof, prover


@define()
@click.argument("event", metavar="EVENT_ID|TYPE/ID@VERSION")
@click.option("--redact", is_flag=True, help="Leave the body out.")
@click.option("--checkpoint", metavar="FILE", help="Prove against this signed checkpoint, not against a fresh one.")
@click.option("--out", metavar="FILE", help="Write the proof to FILE.")
@pass_invocation
def command(invocation: Invocation, event: str, redact: bool, checkpoint: str | None, out: str | None) -> None:
    from dbx.ops import prove

    with prover(invocation, checkpoint) as made:
        proof = prove.prove_event(made, event, body=not redact)
    emit_proof(invocation, proof, out)
