"""Attestations: who verified what, when, and with which result, as a signed statement about a checkpoint."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto import sign
from dbx.errors import Corrupt
from dbx.formats.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from dbx.formats.dsse import (
    IN_TOTO,
    Envelope,
    decode_envelope,
    decode_statement,
    encode_envelope,
    encode_statement,
    pre_authentication,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.note import Vkey

PREDICATE = "urn:dbx:verification:v1"
PASSED, FAILED = "passed", "failed"


class Verification(NamedTuple):
    """What a verifier found: who, when (as events have times), with what tool, over how much, and the findings' count.

    `quick`: only files, frames and the chain of commits were checked.
    """

    group: str
    user: str
    time: str
    tool: str
    quick: bool
    commits: int
    events: int
    findings: int

    @property
    def result(self) -> str:
        """PASSED without findings, else FAILED."""
        return FAILED if self.findings else PASSED


def attest(checkpoint: Checkpoint, found: Verification, key: Vkey, seed: bytes) -> bytes:
    """A DSSE file: the statement, signed. Its subject is the text of the checkpoint, by its SHA-256."""
    text = format_checkpoint(checkpoint)
    subject = [{"name": checkpoint.origin, "digest": {"sha256": sha256(text.encode()).hexdigest()}}]
    predicate = {
        "checkpoint": text,
        "verifier": {"group": found.group, "user": found.user, "key": key.name, "tool": found.tool},
        "verified_at": found.time,
        "quick": found.quick,
        "commits": found.commits,
        "events": found.events,
        "findings": found.findings,
        "result": found.result,
    }
    payload = encode_statement(subject, PREDICATE, predicate)
    signature = sign.sign(seed, pre_authentication(IN_TOTO, payload))
    return encode_envelope(Envelope(IN_TOTO, payload, ((key.key_id.hex(), signature),)))


class Attested(NamedTuple):
    """An attestation that was read: the checkpoint, what was found, and the keys whose signatures hold."""

    checkpoint: Checkpoint
    found: Verification
    signers: tuple[Vkey, ...]


def read_attestation(data: bytes, keys: Sequence[Vkey]) -> Attested:
    """What an attestation says, and which of `keys` signed it; none may have. Raises Corrupt for a false signature."""
    return _read(*open_statement(data, keys))


def open_statement(data: bytes, keys: Sequence[Vkey]) -> tuple[bytes, tuple[Vkey, ...]]:
    """(an in-toto statement, those of `keys` that signed it) of a DSSE file. Raises Corrupt for a false signature."""
    envelope = decode_envelope(data)
    if envelope.payload_type != IN_TOTO:
        raise Corrupt("the attestation is of another kind")
    signed = pre_authentication(envelope.payload_type, envelope.payload)
    signers: list[Vkey] = []
    for key in keys:
        for key_id, signature in envelope.signatures:
            if key_id != key.key_id.hex():
                continue
            if not sign.verify(key.public, signed, signature):
                raise Corrupt(f"the signature of '{key.name}' does not hold", details={"reason": "changed"})
            if key not in signers:
                signers.append(key)
    return envelope.payload, tuple(signers)


def _read(payload: bytes, signers: tuple[Vkey, ...]) -> Attested:
    subject, kind, said = decode_statement(payload)
    if kind != PREDICATE:
        raise Corrupt("the attestation says something else than that a domain was verified")
    try:
        checkpoint = parse_checkpoint(said["checkpoint"])
        who = said["verifier"]
        found = Verification(
            _of(str, who["group"]),
            _of(str, who["user"]),
            _of(str, said["verified_at"]),
            _of(str, who["tool"]),
            _of(bool, said["quick"]),
            _of(int, said["commits"]),
            _of(int, said["events"]),
            _of(int, said["findings"]),
        )
        digest = sha256(said["checkpoint"].encode()).hexdigest()
        fits = subject == [{"name": checkpoint.origin, "digest": {"sha256": digest}}]
    except (KeyError, TypeError, AttributeError):
        raise Corrupt("the attestation lacks something that it must say") from None
    if not fits or said.get("result") != found.result:
        raise Corrupt("the attestation contradicts itself")
    return Attested(checkpoint, found, signers)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value
