"""Stored lines to values."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.crypto.merkle import leaf_hash
from dbx.crypto.vault import NEED_KEY
from dbx.errors import Corrupt, KeyFailure
from dbx.formats import canonical
from dbx.formats.envelope import Actor, decode_body, decode_envelope
from dbx.model.event import Event

if TYPE_CHECKING:
    from dbx.repo.log import Stored


def decode_own(stored: Stored, commit: int) -> Event:
    """`decode_stored` for lines that this process has just made: nothing is checked again. The body is plain."""
    text = stored.envelope.decode()
    parts = text.split('"')
    by = None
    if parts[25] == "issued_by":
        by = decode_envelope(stored.envelope).issued_by if "\\" in text else Actor(parts[29], parts[33])
    body = canonical.scan(stored.body.decode())[0] if stored.body else {}
    return Event(
        parts[7],
        parts[3],
        int(parts[-1][1:-1]),
        parts[23],
        int(parts[19]),
        parts[15],
        by,
        body.get("payload"),
        body.get("metadata", {}) if body else None,
        body.get("note"),
        leaf_hash(stored.envelope).hex(),
        stored.position,
        commit,
    )


def decode_stored(stored: Stored, commit: int) -> Event:
    """An event from its two lines, the body checked against the envelope.

    Raises Corrupt for damage, KeyFailure while the body is sealed. An erased body gives payload and metadata None.
    """
    envelope = decode_envelope(stored.envelope)
    payload = metadata = note = None
    if stored.body is None:
        raise KeyFailure("the event's body is sealed, and the key (DEK) is missing", hint=NEED_KEY)
    if stored.body:
        if sha256(stored.body).hexdigest() != envelope.body:
            raise Corrupt(
                f"the body of event '{envelope.event_id}' is not the one its envelope names",
                hint="run 'dbx fsck' to see what else is damaged",
                details={"event_id": str(envelope.event_id), "position": stored.position},
            )
        body = decode_body(stored.body)
        payload, metadata, note = body.payload, body.metadata or {}, body.note
    return Event(
        envelope.aggregate_type,
        envelope.aggregate_id,
        envelope.version,
        envelope.event_type,
        envelope.event_id,
        envelope.created_at,
        envelope.issued_by,
        payload,
        metadata,
        note,
        leaf_hash(stored.envelope).hex(),
        stored.position,
        commit,
    )
