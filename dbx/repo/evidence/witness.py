"""A second office: cosigns checkpoints of logs that it watches, and only growth that is consistent with what it saw.

The first checkpoint of an origin is taken as it comes, if a trusted key signed it; from then on each must be shown to
have grown from the one before (c2sp.org/tlog-cosignature).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Corrupt
from dbx.formats.note import format_note
from dbx.model.trust import cosign_note, grew_from, open_checkpoint
from dbx.repo.evidence.heads import WITNESSED, find_head, write_head
from dbx.repo.vault.keys import get_witness_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.checkpoint import Checkpoint
    from dbx.formats.note import Vkey
    from dbx.repo.repository import Repository


class Cosigned(NamedTuple):
    """The checkpoint, the one of this origin that was cosigned before, the note with our line, and our key."""

    checkpoint: Checkpoint
    before: Checkpoint | None
    note: bytes
    key: Vkey


def cosign(
    repository: Repository, note: bytes, keys: Sequence[Vkey], growth: tuple[Checkpoint, Sequence[bytes]] | None = None
) -> Cosigned:
    """Add our cosignature to a checkpoint that one of `keys` signed.

    `growth` is an older head and the path of RFC 9162 §2.1.4.1 from it. Raises Corrupt (reason stale, forked, changed,
    unknown-key) for a checkpoint that must not be cosigned, Conflict when a proof of growth is needed, KeyFailure.
    """
    key = get_witness_key(repository)
    checkpoint, opened = open_checkpoint(note, keys)
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        before = find_head(repository, WITNESSED, checkpoint.origin)
        if before is not None:
            _check_growth(before, checkpoint, growth)
        if before != checkpoint:
            # Durable before the signature leaves: after a crash nothing that contradicts it is cosigned.
            write_head(repository, WITNESSED, checkpoint)
    finally:
        lock.close()
    line = cosign_note(opened.note.text, key.vkey, key.seed, repository.clock() // 1_000_000)
    others = tuple(
        each for each in opened.note.signatures if (each.name, each.key_id) != (key.vkey.name, key.vkey.key_id)
    )
    return Cosigned(checkpoint, before, format_note(opened.note._replace(signatures=(*others, line))), key.vkey)


def _check_growth(before: Checkpoint, now: Checkpoint, growth: tuple[Checkpoint, Sequence[bytes]] | None) -> None:
    if now == before:
        return
    if now.size < before.size:
        raise Corrupt(
            f"refused to cosign: {before.size} commits of this log were seen before, and now there are {now.size}",
            details={"reason": "stale"},
        )
    if now.size == before.size:
        raise Corrupt(
            f"refused to cosign: another log of {now.size} commits was seen under this origin",
            hint="keep both checkpoints: they show that the history was forked",
            details={"reason": "forked"},
        )
    if growth is None:
        raise Conflict(
            f"a proof is needed that the log grew from {before.size} to {now.size} commits",
            hint=f"ask for 'dbx prove consistency {before.size} {now.size}', and give the file with --proof",
            details={"seen_size": before.size, "seen_root": before.root.hex()},
        )
    old, path = growth
    if old != before or not grew_from(before, now, path):
        raise Corrupt(
            f"refused to cosign: the proof does not show growth from the {before.size} commits that were seen before",
            details={"reason": "forked"},
        )
