"""Prove that nothing was changed or taken away since: that the log, or one aggregate, only grew.

A and B are refs or numbers of commits; with --aggregate, versions. Without B, up to now.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.complete import complete_ref
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.proof import emit_proof, prover
from dbx.errors import UsageError


@define()
@click.argument("first", metavar="A", shell_complete=complete_ref)
@click.argument("second", metavar="[B]", required=False, shell_complete=complete_ref)
@click.option("--aggregate", metavar="TYPE[/ID]", help="Of this aggregate; A and B are its versions.")
@click.option("--aggregate-id", "--id", "aggregate_id", metavar="ID", help="The aggregate's id, behind its type.")
@click.option("--checkpoint", metavar="FILE", help="Prove against this signed checkpoint, not against a fresh one.")
@params.out_option("Write the proof to FILE.")
@pass_invocation
def command(
    invocation: Invocation,
    first: str,
    second: str | None,
    aggregate: str | None,
    aggregate_id: str | None,
    checkpoint: str | None,
    out: str | None,
) -> None:
    from dbx.ops import prove

    if checkpoint is not None and second is not None and aggregate is None:
        raise UsageError("the checkpoint says up to where: leave B out")
    if aggregate_id is not None:
        if aggregate is None:
            raise UsageError("'--aggregate-id' needs the type", hint="an aggregate is named by its type and its id")
        aggregate = f"{aggregate}/{aggregate_id}"
    if aggregate is None:
        with prover(invocation, checkpoint, upto=second) as made:
            proof = prove.prove_growth(made, first)
    else:
        with prover(invocation, checkpoint) as made:
            proof = prove.prove_history(made, aggregate, *prove.parse_versions(made, aggregate, first, second))
    emit_proof(invocation, proof, out)
