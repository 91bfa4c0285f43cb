"""Prove an event: what it says, when and by whom it was recorded, and that it still stands."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.proof import emit_proof, prover
from dbx.cli.subject import join_subject, subject_options


@define()
@subject_options("EVENT_ID|TYPE/ID@VERSION|TYPE ID@VERSION")
@click.option("--redact", is_flag=True, help="Leave the body out.")
@click.option("--checkpoint", metavar="FILE", help="Prove against this signed checkpoint, not against a fresh one.")
@params.out_option("Write the proof to FILE.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    redact: bool,
    checkpoint: str | None,
    out: str | None,
) -> None:
    from dbx.ops import prove

    event = join_subject(words, aggregate_type, aggregate_id)
    with prover(invocation, checkpoint) as made:
        proof = prove.prove_event(made, event, body=not redact)
    emit_proof(invocation, proof, out)
