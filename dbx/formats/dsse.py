"""Signed statements: DSSE envelopes (secure-systems-lab/dsse v1.0.2) around in-toto statements of version 1.

    {"payload":"<base64>","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"0a1b2c3d","sig":"<base64>"}]}

What is signed is not the payload but its pre-authentication encoding, so that nothing signed for another purpose fits.
Nothing here verifies: see dbx.model.attestation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical
from dbx.formats.base64text import encode_base64, find_base64

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
MAX_ENVELOPE_BYTES = 4 << 20
_MAX_SIGNATURES = 100
_MAX_DEPTH = 32


class Envelope(NamedTuple):
    """The bytes of a payload, their type, and the signatures: (key id, signature)."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What is signed: PAE(type, payload)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode_envelope(envelope: Envelope) -> bytes:
    """The bytes of a DSSE file, with a newline."""
    value = {
        "payload": encode_base64(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [{"keyid": key_id, "sig": encode_base64(signature)} for key_id, signature in envelope.signatures],
    }
    return canonical.encode(value) + b"\n"


def decode_envelope(data: bytes) -> Envelope:
    """An envelope, also one that others wrote: members may stand in any order. Raises Corrupt."""
    value = _load(data, "the attestation")
    payload, kind, signatures = (value.get(name) for name in ("payload", "payloadType", "signatures"))
    decoded = find_base64(payload) if isinstance(payload, str) else None
    if decoded is None or not isinstance(kind, str) or not isinstance(signatures, list):
        raise Corrupt("the attestation is not a DSSE envelope")
    if not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise Corrupt("the attestation has no signatures, or too many")
    return Envelope(kind, decoded, tuple(map(_signature, signatures)))


def encode_statement(subject: list[dict[str, Any]], predicate_type: str, predicate: dict[str, Any]) -> bytes:
    """An in-toto statement: what it is about, and what is said of it."""
    value = {"_type": STATEMENT, "subject": subject, "predicateType": predicate_type, "predicate": predicate}
    return canonical.encode(value)


def decode_statement(data: bytes) -> tuple[list[Any], str, dict[str, Any]]:
    """(subject, predicate type, predicate) of an in-toto statement. Raises Corrupt."""
    value = _load(data, "the statement")
    subject, kind, predicate = (value.get(name) for name in ("subject", "predicateType", "predicate"))
    if value.get("_type") != STATEMENT or not isinstance(subject, list) or not isinstance(kind, str):
        raise Corrupt("the attestation does not hold an in-toto statement of version 1")
    if not isinstance(predicate, dict):
        raise Corrupt("the statement of the attestation says nothing")
    return subject, kind, predicate


def _load(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Corrupt(f"{what} is larger than 4 MiB")
    try:
        value = canonical.loads(data, what=what, max_depth=_MAX_DEPTH)
    except Invalid as error:
        raise Corrupt(error.message) from None
    if not isinstance(value, dict):
        raise Corrupt(f"{what} is not a JSON object")
    return value


def _signature(value: Any) -> tuple[str, bytes]:
    if isinstance(value, dict) and isinstance(value.get("sig"), str):
        key_id, signature = value.get("keyid", ""), find_base64(value["sig"])
        if isinstance(key_id, str) and signature is not None:
            return key_id, signature
    raise Corrupt("a signature of the attestation is not of the form {keyid, sig}")
