"""Evidence packages for auditors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Invalid, NotFound
from dbx.model import names
from dbx.model.names import quote
from dbx.model.trust import open_checkpoint
from dbx.ops.checkpoint import trusted_keys
from dbx.repo.evidence import package
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.evidence.package import AGGREGATE, RANGE, TYPE, Packed, Scope
from dbx.repo.reading.revision import resolve_revision

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

__all__ = ["Packed", "Scope", "export_evidence"]


def parse_scope(session: Session, aggregate: str | None, wanted: str | None) -> Scope:
    """A whole domain; `TYPE` or `TYPE/ID`; or a range of commits `A..B`. Raises Invalid, NotFound."""
    if aggregate is not None:
        aggregate_type, slash, aggregate_id = aggregate.partition("/")
        names.check_type(aggregate_type)
        if not slash:
            return Scope(TYPE, aggregate_type)
        return Scope(AGGREGATE, aggregate_type, names.check_id(aggregate_id))
    if wanted is None:
        return Scope()
    after, dots, upto = wanted.partition("..")
    if not dots:
        raise Invalid(f"{quote(wanted)} is not a range of commits", hint="write A..B, A.. or ..B")
    first = resolve_revision(session.domain, after).seq + 1 if after else 0
    last = resolve_revision(session.domain, upto or "HEAD").seq
    if first > last:
        raise NotFound(f"there are no commits in {quote(wanted)}")
    return Scope(RANGE, first=first, last=last)


def export_evidence(
    session: Session,
    path: str,
    *,
    aggregate: str | None = None,
    wanted: str | None = None,
    note: bytes | None = None,
    bodies: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Packed:
    """Pack evidence into a new directory or `.zip`, under a signed checkpoint, a fresh one by default.

    Raises KeyFailure without a key to sign with, Conflict when the path is taken, Invalid, NotFound, Corrupt.
    """
    scope = parse_scope(session, aggregate, wanted)
    keys = trusted_keys(session, ())
    if note is None:
        note = sign_checkpoint(session.repository, session.domain).note
    signers = [signed.key for signed in open_checkpoint(note, keys)[1].verified]
    return package.export_evidence(session.domain, path, scope, note, signers, bodies=bodies, progress=progress)
