"""Verify a domain, and sign what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.note import format_vkey
from dbx.model.attestation import Attested, Verification, attest, open_statement, read_attestation
from dbx.model.redaction import Certified, is_certificate, read_certificate
from dbx.model.time import format_time
from dbx.ops.checkpoint import trusted_keys
from dbx.ops.fsck import check_domains
from dbx.repo.evidence.attestations import list_attestations, store_attestation
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.outfile import write_outside
from dbx.repo.vault.keys import get_signing_key
from dbx.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.ops.fsck import Report
    from dbx.ops.session import Session


class Made(NamedTuple):
    """A new attestation, where it lies, and the report that it is about."""

    attested: Attested
    path: str
    report: Report


class Listed(NamedTuple):
    """An attestation of the workspace; `signers` are vkeys of trusted keys, none where nobody known has signed."""

    path: str
    attested: Attested
    signers: tuple[str, ...]


def make_attestation(
    session: Session,
    *,
    quick: bool = False,
    out: str | None = None,
    begin: Callable[[int], None] = lambda events: None,
    progress: Callable[[int], None] = lambda events: None,
) -> Made:
    """Check the domain and sign the result, good or bad. Raises KeyFailure, NotFound, Corrupt where none can sign.

    The checkpoint is signed before the check: what the check finds is about that history or a longer one.
    """
    domain = session.domain
    key = get_signing_key(session.repository)
    signed = sign_checkpoint(session.repository, domain)
    (report,) = check_domains(session, around=False, quick=quick, begin=begin, progress=progress)
    actor = session.actor
    found = Verification(
        actor.group,
        actor.user,
        format_time(session.repository.clock()),
        f"dbx {__version__}",
        quick,
        signed.checkpoint.size,
        report.events,
        report.errors,
    )
    data = attest(signed.checkpoint, found, key.vkey, key.seed)
    path = store_attestation(session.repository, domain, found.time, key.vkey.key_id.hex(), data, signed.note)
    if out is not None:
        write_outside(out, data)
    return Made(Attested(signed.checkpoint, found, (key.vkey,)), path, report)


def list_all(session: Session) -> list[Listed]:
    """The attestations of the session's domain, oldest first. Raises Corrupt naming the file."""
    keys = trusted_keys(session, ())
    listed: list[Listed] = []
    for stored in list_attestations(session.repository, session.domain):
        try:
            attested = read_attestation(stored.data, keys)
        except Corrupt as error:
            raise Corrupt(f"'{stored.path}': {error.message}", details={"file": stored.path}) from None
        listed.append(Listed(stored.path, attested, tuple(map(format_vkey, attested.signers))))
    return listed


def verify_attestation(session: Session | None, data: bytes, given: Sequence[str]) -> Attested | Certified:
    """An attestation, or a certificate of redaction, that a trusted key signed. Raises Corrupt with a reason."""
    keys = trusted_keys(session, given)
    attested: Attested | Certified
    if is_certificate(open_statement(data, keys)[0]):
        attested = read_certificate(data, keys)
    else:
        attested = read_attestation(data, keys)
    if not attested.signers:
        raise Corrupt(
            "none of the keys that you trust has signed the attestation",
            hint="give the key of the one who signed with --key",
            details={"reason": "unknown-key"},
        )
    return attested
