"""History in the formats of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.repo.evidence import tiles
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.evidence.tiles import Exported

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

__all__ = ["Exported", "export_tiles"]


def export_tiles(
    session: Session, path: str, note: bytes | None = None, *, progress: Callable[[int], None] | None = None
) -> Exported:
    """The commit log as tiles under a signed checkpoint, a fresh one by default. Raises KeyFailure without a key."""
    domain = session.domain
    if note is None:
        note = sign_checkpoint(session.repository, domain).note
    return tiles.export_tiles(domain, path, note, progress)
