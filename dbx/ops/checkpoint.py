"""Checkpoints: the size and root of a domain's commit log, signed for others to hold on to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.checkpoint import Checkpoint, default_origin, format_checkpoint
from dbx.formats.note import format_vkey, parse_vkey
from dbx.model.trust import open_checkpoint, read_head
from dbx.repo.evidence import checkpoints
from dbx.repo.evidence.witness import Cosigned, cosign
from dbx.repo.outfile import write_outside
from dbx.repo.reading.revision import resolve_revision
from dbx.repo.vault.keys import read_known_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.note import Vkey
    from dbx.formats.proof import GrowthProof
    from dbx.ops.session import Session


class Made(NamedTuple):
    """A checkpoint, its bytes (a note when signed, else its three lines), and the vkey of who signed."""

    checkpoint: Checkpoint
    data: bytes
    signer: str | None


class Verified(NamedTuple):
    """A checkpoint that a trusted key signed.

    `signers` are the keys' names, `witnesses` (name, POSIX time); `unknown` counts the other signatures. `domain` is
    the name of the local domain that it is about, if any, and `state` how the two compare: current, older or ahead.
    """

    checkpoint: Checkpoint
    signers: tuple[str, ...]
    witnesses: tuple[tuple[str, int], ...]
    unknown: int
    domain: str | None
    state: str | None


def make_checkpoint(session: Session, ref: str | None = None, *, sign: bool = False, out: str | None = None) -> Made:
    """The checkpoint of the domain, or of its log up to `ref`; signed, and written to the file `out`, where asked."""
    domain = session.domain
    size = None if ref is None else resolve_revision(domain, ref).seq + 1
    if sign:
        session.require("admin.key")
        signed = checkpoints.sign_checkpoint(session.repository, domain, size)
        made = Made(signed.checkpoint, signed.note, format_vkey(signed.key))
    else:
        checkpoint = checkpoints.make_checkpoint(domain, size)
        made = Made(checkpoint, format_checkpoint(checkpoint).encode(), None)
    if out is not None:
        write_outside(out, made.data)
    return made


def trusted_keys(session: Session | None, given: Sequence[str]) -> list[Vkey]:
    """The keys that were given as vkeys; without any, those that the workspace knows. Raises Invalid."""
    if given:
        return [parse_vkey(text) for text in dict.fromkeys(given)]
    if session is None:
        return []
    return list({key.vkey: None for key in read_known_keys(session.repository).keys})


def verify_checkpoint(
    session: Session | None, data: bytes, given: Sequence[str] = (), *, witnesses: int = 0
) -> Verified:
    """Whether a checkpoint is signed by a trusted key and cosigned by at least `witnesses` trusted witnesses.

    A witness is no signer: a checkpoint that only witnesses signed is refused. Raises Corrupt, with a `reason`:
    changed, unknown-key, unsigned, forked.
    """
    keys = trusted_keys(session, given)
    checkpoint, opened = open_checkpoint(data, keys)
    signers = tuple(signed.key.name for signed in opened.verified if signed.time_s is None)
    seen = tuple((signed.key.name, signed.time_s) for signed in opened.verified if signed.time_s is not None)
    if not signers:
        raise Corrupt(
            "the checkpoint is cosigned, but not signed by a key that you trust",
            hint="give the key of the log with --key",
            details={"reason": "unknown-key"},
        )
    if len(seen) < witnesses:
        raise Corrupt(
            f"the checkpoint has cosignatures of {len(seen)} trusted witnesses, and {witnesses} are asked for",
            details={"reason": "unsigned"},
        )
    name, state = _compare(session, checkpoint)
    if state == "forked":
        raise Corrupt(
            f"the checkpoint is about another history than that of domain '{name}'",
            hint="keep it: signed, it shows that the history was forked",
            details={"reason": "forked"},
        )
    return Verified(checkpoint, signers, seen, len(opened.unverified), name, state)


def witness_checkpoint(
    session: Session, data: bytes, given: Sequence[str], growth: GrowthProof | None, out: str | None
) -> Cosigned:
    """Cosign a checkpoint, if what it says follows from what was seen of its origin. Raises Corrupt, Conflict."""
    path = None
    if growth is not None:
        path = read_head(growth.first.encode()), growth.path
    done = cosign(session.repository, data, trusted_keys(session, given), path)
    if out is not None:
        write_outside(out, done.note)
    return done


def _compare(session: Session | None, checkpoint: Checkpoint) -> tuple[str | None, str | None]:
    if session is None:
        return None, None
    for name in session.repository.domain_names():
        domain = session.repository.domain(name)
        if default_origin(domain.id) == checkpoint.origin:
            return name, checkpoints.compare_with_domain(domain, checkpoint)
    return None, None
