"""What the commands that make proofs share: the checkpoint they end in, and how they are handed over."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dbx.cli import params
from dbx.cli.render import hint, write
from dbx.cli.session import session
from dbx.cli.signing import prepare_key
from dbx.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.cli.context import Invocation
    from dbx.formats.proof import Proof
    from dbx.repo.evidence.proofs import Prover

_MAX_CHECKPOINT_BYTES = 1 << 20


@contextmanager
def prover(invocation: Invocation, checkpoint: str | None, *, upto: str | None = None) -> Iterator[Prover]:
    """What proves against the checkpoint in a file, else against a fresh one of the log, or of the log up to a ref."""
    from dbx.ops.prove import open_prover

    note = None
    if checkpoint is not None:
        note = params.read_input(None, checkpoint, _MAX_CHECKPOINT_BYTES, "the checkpoint")
    with session(invocation) as opened:
        if note is None:
            with suppress(Denied, OSError):  # then nobody signs, and the proof says so
                prepare_key(invocation, opened)
        made = open_prover(opened, note, upto)
        yield made
        if not made.is_signed:
            hint(invocation, "nobody signed the checkpoint in this proof; 'dbx key generate' makes a key to sign with")


def emit_proof(invocation: Invocation, proof: Proof, out: str | None) -> None:
    """The proof itself on standard output, with --json as well: it is one JSON document. Or into a file."""
    from dbx.cli.render import emit
    from dbx.ops.prove import finish, kind_of

    data = finish(proof, out)
    if out is None:
        write(data.decode())
    else:
        emit(
            invocation, {"kind": kind_of(proof), "out": out, "bytes": len(data)}, [f"wrote '{out}', {len(data)} bytes"]
        )
