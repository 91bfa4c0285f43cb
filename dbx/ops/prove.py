"""Proofs for others: made from a domain, verified with nothing but a file and a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Invalid
from dbx.formats.proof import KINDS, GrowthProof, decode_proof, encode_proof
from dbx.model import names
from dbx.model.names import quote
from dbx.model.proof import verify_proof
from dbx.model.snowflake import parse_event_id
from dbx.model.trust import read_head
from dbx.ops.checkpoint import trusted_keys
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.evidence.proofs import Prover, position_of_event, position_of_version
from dbx.repo.outfile import write_outside
from dbx.repo.query import get_aggregate
from dbx.repo.reading.revision import resolve_revision
from dbx.repo.vault.keys import find_signing_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.proof import Proof
    from dbx.model.proof import Verdict
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain


def open_prover(session: Session, checkpoint: bytes | None, upto: str | None = None) -> Prover:
    """What proves against a given checkpoint, else a fresh one, of the log or of the log up to a ref.

    A fresh one is signed if the workspace has a key.
    """
    domain = session.domain
    if checkpoint is not None:
        return Prover(domain, checkpoint)
    size = None if upto is None else parse_size(domain, upto)
    if find_signing_key(session.repository) is not None:
        prover = Prover(domain)
        if prover.checkpoint.size:
            return Prover(domain, sign_checkpoint(session.repository, domain, size or prover.checkpoint.size).note)
    return Prover(domain, size=size)


def prove_event(prover: Prover, wanted: str, *, body: bool) -> Proof:
    """An event by its id, or as `TYPE/ID@VERSION`. Raises NotFound, Invalid."""
    if "/" not in wanted:
        return prover.prove_event(position_of_event(prover.domain, parse_event_id(wanted)), body=body)
    rest, at, version = wanted.rpartition("@")
    if not at or not version.isascii() or not version.isdigit():
        raise Invalid(f"{quote(wanted)} does not say which version", hint="write TYPE/ID@VERSION")
    return prover.prove_event(position_of_version(prover.domain, parse_name(rest), int(version[:15])), body=body)


def prove_aggregate(prover: Prover, wanted: str, *, events: bool, bodies: bool) -> Proof:
    """An aggregate `TYPE/ID` as it is now, with its events where asked."""
    return prover.prove_aggregate(parse_name(wanted), events=events, bodies=bodies)


def prove_absence(prover: Prover, wanted: str) -> Proof:
    """That there is no aggregate `TYPE/ID`."""
    return prover.prove_absence(parse_name(wanted))


def prove_growth(prover: Prover, first: str) -> Proof:
    """That the log begins with what it was at a ref, or when it had so many commits."""
    return prover.prove_growth(parse_size(prover.domain, first))


def prove_history(prover: Prover, wanted: str, first: int, second: int) -> Proof:
    """That version `second` of `TYPE/ID` begins with version `first`."""
    return prover.prove_history(parse_name(wanted), first, second)


def parse_size(domain: Domain, text: str) -> int:
    """How many commits there are up to a ref; digits alone are the number itself where there are that many."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    return resolve_revision(domain, text).seq + 1


def parse_versions(prover: Prover, wanted: str, first: str, second: str | None) -> tuple[int, int]:
    """Two versions of an aggregate; without the second, its newest. Raises Invalid, NotFound."""
    for text in (first, second):
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise Invalid(f"{quote(text)} is not a version", hint="with --aggregate, A and B are versions")
    if second is not None:
        return int(first), int(second)
    return int(first), get_aggregate(prover.domain, *parse_name(wanted)).version


def kind_of(proof: Proof) -> str:
    """event, aggregate, absent, growth or history."""
    return KINDS[type(proof)]


def parse_name(text: str) -> tuple[str, str]:
    """TYPE/ID. Raises Invalid."""
    aggregate_type, slash, aggregate_id = text.partition("/")
    if not slash:
        raise Invalid(f"{quote(text)} does not name an aggregate", hint="write TYPE/ID")
    return names.check_type(aggregate_type), names.check_id(aggregate_id)


def finish(proof: Proof, out: str | None) -> bytes:
    """The proof's bytes, written to the file `out` where one is given."""
    data = encode_proof(proof)
    if out is not None:
        write_outside(out, data)
    return data


def verify(
    session: Session | None, data: bytes, given: Sequence[str], checkpoint: bytes | None
) -> tuple[Proof, Verdict]:
    """Every link of a proof. Needs no repository when keys are given. Raises Corrupt for what is no proof, Invalid."""
    proof = decode_proof(data)
    known = None if checkpoint is None else read_head(checkpoint)
    return proof, verify_proof(proof, trusted_keys(session, given), known)


def read_growth(data: bytes) -> GrowthProof:
    """A proof of growth, for a witness. Raises Corrupt, Invalid."""
    proof = decode_proof(data)
    if not isinstance(proof, GrowthProof):
        raise Invalid("this is a proof of something else than the log's growth", hint="see 'dbx prove consistency'")
    return proof
