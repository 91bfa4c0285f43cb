"""Folding an aggregate again whose event lost its body (format.md §3, body_erased), from what is left."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbx.errors import KeyFailure
from dbx.model.event import fold
from dbx.repo.erasing import erased_version, is_erasure, read_note, write_note
from dbx.repo.events import decode_stored
from dbx.repo.log import LogReader
from dbx.repo.masks import may_mask
from dbx.repo.snapshotfile import NAME, snapshots_of

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.record import Record
    from dbx.repo.working import WorkingSet


def refold_record(domain: Domain, working: WorkingSet, record: Record) -> None:
    """Make the state and the extensions of a record again. Its snapshots lose theirs, until they are made anew.

    Every erased body comes by here, whether it was erased in this copy or in another. Raises OSError or Corrupt when
    the snapshots cannot be written: what they hold must not outlive the body.
    """
    state: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    stored = [] if record.n is None else working.index.positions(record.n)
    reader = LogReader(domain.directory, working, domain.vault)
    try:
        events = list(reader.events([*stored, *record.fresh]))
        erased = {erased_version(found) for found in events if is_erasure(found.envelope)}
        for found in events:
            event = decode_stored(found, 0)
            if event.version in erased and found.body:
                _owe(domain, record)
            fold(state, extensions, event.event_type, event.payload, event.metadata)
        record.state, record.extensions = state, extensions
    except KeyFailure:
        if not may_mask(working.index):
            raise
        record.mask()
    finally:
        reader.close()
    _empty_snapshots(domain, record)
    record.refold = False


def _owe(domain: Domain, record: Record) -> None:
    """The log still has a body that it says was erased: whoever writes next removes it."""
    with suppress(OSError):  # who may not write here leaves it to others
        if (record.type, record.id) not in (read_note(domain.directory) or ()):
            write_note(domain.directory, [(record.type, record.id)])


def _empty_snapshots(domain: Domain, record: Record) -> None:
    if not domain.directory.exists(NAME):
        return
    file = snapshots_of(domain)
    try:
        snapshots = file.find()
        if snapshots is not None:
            snapshots.empty(record.type, record.id)
    except OSError:
        # On a read-only disk neither the index nor this can be written, and every process comes by here again.
        if not domain.in_memory:
            raise
        file.is_trusted = False
