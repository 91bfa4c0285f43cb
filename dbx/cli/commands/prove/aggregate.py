"""Prove an aggregate's version and root, and with --events which events it has."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.proof import emit_proof, prover
from dbx.cli.subject import join_subject, subject_options


@define()
@subject_options("TYPE/ID|TYPE ID")
@click.option("--events", is_flag=True, help="With all of its events.")
@click.option("--redact", is_flag=True, help="Leave the bodies out.")
@click.option("--checkpoint", metavar="FILE", help="Prove against this signed checkpoint, not against a fresh one.")
@params.out_option("Write the proof to FILE.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    events: bool,
    redact: bool,
    checkpoint: str | None,
    out: str | None,
) -> None:
    from dbx.ops import prove

    aggregate = join_subject(words, aggregate_type, aggregate_id)
    with prover(invocation, checkpoint) as made:
        proof = prove.prove_aggregate(made, aggregate, events=events, bodies=not redact)
    emit_proof(invocation, proof, out)
