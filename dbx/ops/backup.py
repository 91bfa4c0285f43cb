"""Back a workspace up into one file, and restore it from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.ops import audit
from dbx.repo.upkeep.backup import Done, make_backup
from dbx.repo.upkeep.restore import Restored, restore_backup

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.envelope import Actor
    from dbx.model.time import Clock
    from dbx.ops.session import Session

__all__ = ["Done", "Restored", "backup", "restore"]


def backup(
    session: Session,
    path: str,
    *,
    force: bool = False,
    passphrase: str | None = None,
    progress: Callable[[int], None] = lambda size: None,
) -> Done:
    """Write a backup of all domains; with a passphrase also the keys, sealed by it. Raises Conflict, Failure."""
    secret = None if passphrase is None else passphrase.encode()
    audit.note(session, "workspace.backup", {"keys": secret is not None})
    return make_backup(session.repository, path, force=force, passphrase=secret, progress=progress)


def restore(
    source: str,
    where: str,
    *,
    by: Actor,
    clock: Clock,
    force: bool = False,
    passphrase: str | None = None,
    without_keys: bool = False,
    wait_s: float = 10.0,
    progress: Callable[[int], None] = lambda size: None,
) -> Restored:
    """Restore a backup into the directory `where`. Raises Conflict, Corrupt, KeyFailure, Failure, Locked."""
    secret = None if passphrase is None else passphrase.encode()
    return restore_backup(
        source,
        where,
        by=by,
        clock=clock,
        force=force,
        passphrase=secret,
        without_keys=without_keys,
        wait_s=wait_s,
        progress=progress,
    )
