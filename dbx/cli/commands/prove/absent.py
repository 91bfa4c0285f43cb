"""Prove that there is no such aggregate."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.proof import emit_proof, prover


@define()
@click.argument("aggregate", metavar="TYPE/ID")
@click.option("--checkpoint", metavar="FILE", help="Prove against this signed checkpoint, not against a fresh one.")
@click.option("--out", metavar="FILE", help="Write the proof to FILE.")
@pass_invocation
def command(invocation: Invocation, aggregate: str, checkpoint: str | None, out: str | None) -> None:
    from dbx.ops import prove

    with prover(invocation, checkpoint) as made:
        proof = prove.prove_absence(made, aggregate)
    emit_proof(invocation, proof, out)
