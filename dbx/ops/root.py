"""One hash over everything that a domain holds, and a file of every aggregate's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import NotFound
from dbx.ops.past import locate
from dbx.ops.source import parse_source
from dbx.repo.reading.revision import resolve_revision
from dbx.repo.upkeep.survey import Root, get_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session
    from dbx.repo.compare.rootfile import Exported
    from dbx.repo.domain import Domain
    from dbx.repo.reading.revision import Revision

    Locate = Callable[[Domain, str], tuple[Domain, Revision]]

__all__ = ["Root", "export", "root"]


def root(session: Session, source: str | None) -> tuple[str, Root]:
    """(domain, its index root) of `DOMAIN[@REF]` or `REF`, or of the session's domain.

    What could be either is a domain's name where there is such a domain. Raises NotFound, Invalid.
    """
    domain, seq = _find(session, source, locate)
    return domain.name, get_root(domain, seq)


def export(
    session: Session, source: str | None, target: str | Callable[[bytes], object], *, sign: bool = False
) -> tuple[str, Exported]:
    """Write a root file to a path, whole or not at all, or by a function: (domain, what was written).

    `source` is as for `root`. With `sign`, a checkpoint that ends with the commit is signed, and its proof goes into
    the file. Raises NotFound, Invalid, Failure; to sign, also KeyFailure, and Corrupt where that would contradict what
    was signed before.
    """
    from dbx.repo.compare.rootfile import export_roots, export_roots_to

    domain, seq = _find(session, source, _locate_own if sign else locate)
    proof = None
    if sign:
        from dbx.repo.evidence.checkpoints import sign_checkpoint
        from dbx.repo.evidence.proofs import Prover

        if seq is None:
            seq = domain.read(lambda working, _: working.head.seq)
        proof = Prover(domain, sign_checkpoint(session.repository, domain, seq + 1).note).prove_commit(seq)
    if isinstance(target, str):
        return domain.name, export_roots_to(domain, target, seq, proof=proof)
    return domain.name, export_roots(domain, target, seq, proof=proof)


def _find(session: Session, source: str | None, find: Locate) -> tuple[Domain, int | None]:
    if source is None:
        return session.domain, None
    repository = session.repository
    if "@" not in source and source not in repository.domain_names():
        return _find_ref(session, source, find)
    name, ref = parse_source(source)
    domain = session.domain if name is None else repository.domain(name)
    if ref is None:
        return domain, None
    domain, revision = find(domain, ref)
    return domain, revision.seq


def _find_ref(session: Session, ref: str, find: Locate) -> tuple[Domain, int]:
    try:
        domain, revision = find(session.domain, ref)
    except NotFound as error:
        raise NotFound(error.message, hint=f"there is no domain '{ref}' either; see 'dbx domain list'") from None
    return domain, revision.seq


def _locate_own(domain: Domain, ref: str) -> tuple[Domain, Revision]:
    """As `locate`, for what is to be signed: only a history that is ours."""
    return domain, resolve_revision(domain, ref)
