"""Certificates of redaction: who had which body erased, when and why, as a signed statement (in-toto in DSSE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto import sign
from dbx.formats.dsse import IN_TOTO, Envelope, encode_envelope, encode_statement, pre_authentication

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
