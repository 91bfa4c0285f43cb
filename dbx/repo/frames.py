"""The frames that an append adds to the journal, sealed where the workspace seals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.formats import segment
from dbx.store.segments import encode_bodies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.repo.transaction import Committed

SQUEEZE_BYTES = 16 * 1024
"""From here on a frame is worth compressing."""
_FRAME_BYTES = 2 * 1024 * 1024


def is_single(commits: Sequence[Committed]) -> bool:
    """Whether this is one event, and not worth compressing."""
    return len(commits) == 1 and commits[0].commit.count == 1 and len(commits[0].bodies[0]) < SQUEEZE_BYTES


def encode_blocks(
    domain_id: str,
    vault: Vault | None,
    commits: Sequence[Committed],
    lines: Sequence[bytes],
    position: int,
    at: int,
    located: list[tuple[int, int]],
) -> tuple[bytes, bytes]:
    """The E and B frames of some commits from the offset `at` on, and the C frame behind them; notes where they lie."""
    frames: list[bytes] = []
    domain = bytes.fromhex(domain_id.replace("-", ""))
    for envelopes, bodies in _blocks(commits):
        located.append((position, at))
        raw = b"\n".join(envelopes) + b"\n"
        frames.append(segment.encode_frame(segment.E, raw, at, compress=len(raw) >= SQUEEZE_BYTES))
        at += len(frames[-1])
        raw = b"\n".join(bodies) + b"\n"
        packed = segment.pack(raw) if len(raw) >= SQUEEZE_BYTES else segment.Packed(raw, len(raw))
        frames.append(encode_bodies(vault, packed, at, domain, position))
        at += len(frames[-1])
        position += len(envelopes)
    raw = b"\n".join(lines) + b"\n"
    return b"".join(frames), segment.encode_frame(segment.C, raw, at, compress=False)


def _blocks(commits: Sequence[Committed]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    envelopes: list[bytes] = []
    bodies: list[bytes] = []
    size = 0
    for one in commits:
        for envelope, body in zip(one.envelopes, one.bodies, strict=True):
            if size + len(envelope) + len(body) > _FRAME_BYTES and envelopes:
                yield envelopes, bodies
                envelopes, bodies, size = [], [], 0
            envelopes.append(envelope)
            bodies.append(body)
            size += len(envelope) + len(body)
    yield envelopes, bodies
