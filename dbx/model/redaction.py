"""Certificates of redaction: who had which body erased, when and why, as a signed statement (in-toto in DSSE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto import sign
from dbx.errors import Corrupt
from dbx.formats.dsse import (
    IN_TOTO,
    Envelope,
    decode_statement,
    encode_envelope,
    encode_statement,
    pre_authentication,
)
from dbx.model.attestation import open_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.note import Vkey

PREDICATE = "urn:dbx:redaction:v1"
BACKUPS = (
    "Backups, exports and copies outside of this workspace are not reached by a redaction: whoever keeps any must erase"
    " the bodies there as well. Domains that pull or are pushed to drop theirs when the erasing events reach them."
)


class Erasure(NamedTuple):
    """A body that was erased, its hash in hex, and the event that says so, by its version, id, commit and time."""

    aggregate_type: str
    aggregate_id: str
    version: int
    event_id: str
    event_type: str
    body: str
    erased_by: int
    erased_by_event: str
    commit: str
    erased_at: str
    group: str | None
    user: str | None
    reason: str


class Traces(NamedTuple):
    """What became of the files: (old, new) names of segments written anew, names of files removed, and the other
    domains of the workspace that still have some of the bodies. `purged` False: some copies are still to be removed."""

    rewritten: Sequence[tuple[str, str]]
    removed: Sequence[str]
    copies: Sequence[str]
    purged: bool


class Certified(NamedTuple):
    """A certificate that was read: what it says (the predicate), its subjects, and the keys whose signatures hold."""

    said: dict[str, Any]
    subjects: tuple[tuple[str, str], ...]
    signers: tuple[Vkey, ...]


def is_certificate(statement: bytes) -> bool:
    """Whether a statement is a certificate of redaction. Raises Corrupt for no statement."""
    return decode_statement(statement)[1] == PREDICATE


def read_certificate(data: bytes, keys: Sequence[Vkey]) -> Certified:
    """What a certificate says, and which of `keys` signed it; none may have. Raises Corrupt for a false signature."""
    payload, signers = open_statement(data, keys)
    subject, kind, said = decode_statement(payload)
    if kind != PREDICATE:
        raise Corrupt("the statement says something else than that bodies were erased")
    try:
        subjects = tuple((str(one["name"]), str(one["digest"]["sha256"])) for one in subject)
        named = [
            (f"{one['aggregate_type']}/{one['aggregate_id']}@{one['version']}", one["body"]) for one in said["events"]
        ]
        _ = said["domain"]["id"], said["backups"], said["made_at"]
    except (KeyError, TypeError):
        raise Corrupt("the certificate lacks something that it must say") from None
    if list(subjects) != named:
        raise Corrupt("the certificate contradicts itself")
    return Certified(said, subjects, signers)


def certify(
    domain: tuple[str, str],
    erasures: Sequence[Erasure],
    traces: Traces,
    made: tuple[str, str],
    by: tuple[Vkey, bytes],
) -> bytes:
    """A DSSE file: the statement, signed. Its subjects are the bodies, by their SHA-256.

    `domain` is (id, name), `made` (when, with what tool), `by` (the key, its seed).
    """
    key, seed = by
    subject = [
        {"name": f"{one.aggregate_type}/{one.aggregate_id}@{one.version}", "digest": {"sha256": one.body}}
        for one in erasures
    ]
    predicate: dict[str, Any] = {
        "domain": {"id": domain[0], "name": domain[1]},
        "events": [
            {
                "aggregate_type": one.aggregate_type,
                "aggregate_id": one.aggregate_id,
                "version": one.version,
                "event_id": one.event_id,
                "event_type": one.event_type,
                "body": one.body,
                "erased_by": {
                    "version": one.erased_by,
                    "event_id": one.erased_by_event,
                    "commit": one.commit,
                    "time": one.erased_at,
                    "issued_by": None if one.user is None else {"group": one.group, "user": one.user},
                    "reason": one.reason,
                },
            }
            for one in erasures
        ],
        "files": {
            "rewritten": [{"old": old, "new": new} for old, new in traces.rewritten],
            "removed": list(traces.removed),
        },
        "purged": traces.purged,
        "copies": list(traces.copies),
        "backups": BACKUPS,
        "made_at": made[0],
        "made_by": {"key": key.name, "tool": made[1]},
    }
    payload = encode_statement(subject, PREDICATE, predicate)
    signature = sign.sign(seed, pre_authentication(IN_TOTO, payload))
    return encode_envelope(Envelope(IN_TOTO, payload, ((key.key_id.hex(), signature),)))
