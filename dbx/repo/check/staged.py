"""staging.jsonl: whole sections, events that could be committed as they are, and what the index prepared for that."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from struct import unpack
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto.merkle import append, decode_edge, edge_root, leaf_hash
from dbx.errors import Corrupt, KeyFailure
from dbx.formats import canonical
from dbx.formats.envelope import Envelope, decode_body, decode_envelope
from dbx.model.event import ARCHIVED, RESERVED
from dbx.repo.check.blocks import describe, event_of
from dbx.repo.check.finding import Findings
from dbx.store.indexlayout import IndexDamaged, Row
from dbx.store.readindex import IndexSnapshot
from dbx.store.sealedrows import EXTENSIONS, STATE, open_text
from dbx.store.staging import NAME, find_header, read_blocks, sealed_size

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.repo.check.chain import Log
    from dbx.repo.check.history import History
    from dbx.store.fs import Directory

_INDEX = "index.db"

Note = tuple[str, int]
"""The batch that the index follows, and where its last section ends."""


class _Staged:
    """What an aggregate will be once its staged events are committed."""

    __slots__ = ("archived", "base", "edge", "extensions", "offsets", "state", "sure", "version")

    def __init__(self, history: History | None, name: str, first: int) -> None:
        number = None if history is None else history.aggregates.names.get(name)
        self.version = self.base = first - 1
        self.sure = True
        self.edge: list[bytes] = []
        self.state: dict[str, Any] = {}
        self.extensions: dict[str, Any] = {}
        self.archived = False
        self.offsets: list[int] = []
        if history is not None and number is not None:
            self.sure = history.tree.versions[number] == self.base and number not in history.unfolded
            self.edge = decode_edge(history.tree.edges[number], history.tree.versions[number])
            self.state = canonical.scan(history.aggregates.state(number).decode())[0]
            self.extensions = canonical.scan(history.aggregates.extension(number).decode())[0]
            self.archived = number in history.archived
        elif history is not None:
            self.sure = self.base == 0


def read_note(snapshot: IndexSnapshot, findings: Findings) -> Note | None:
    """What the index says is staged."""
    try:
        batch, end, *_ = (snapshot.get_meta("staging") or "|").split("|")
        return (batch, int(end)) if batch else None
    except (IndexDamaged, ValueError, AttributeError, TypeError):
        findings.error("index.staged", "it does not say what is staged", _INDEX)
        return None


def _note_now(directory: Directory) -> Note | None:
    """What the index says now: another batch may have been staged since it was first asked."""
    snapshot = IndexSnapshot(directory.path_of(_INDEX))
    try:
        return read_note(snapshot, Findings())
    finally:
        snapshot.close()


def check_staging(
    directory: Directory,
    domain_id: str | None,
    log: Log,
    history: History | None,
    noted: Note | None,
    findings: Findings,
    vault: Vault | None = None,
) -> Staged | None:
    """The staging file. What its events will make of each aggregate; None where that means nothing.

    `noted` is what the index said was staged before the file was read.
    `history` is None when events were not looked at; then only sections and their hashes are compared.
    """
    try:
        found = find_header(directory)
        if found is None:
            return None
        header, size = found
        end = sealed_size(directory)
        if end < size:
            findings.note("staging.torn", "an interrupted write follows its last section", NAME, end)
        if domain_id is not None and header.domain != domain_id:
            findings.error("staging.domain", "its events were staged for another domain", NAME, 0)
            return None
        if header.batch in log.batches:
            sentence = f"its events are commit {log.batches[header.batch]} already; it is dropped when it is next used"
            findings.note("staging.committed", sentence, NAME)
            return None
        if noted is not None and noted[0] == header.batch and noted[1] > end:
            sentence = f"events were staged up to byte {noted[1]}, but its last section ends at byte {end}"
            findings.error("staging.cut", f"{sentence}: events were lost or cut off", NAME, end)
        elif noted is not None and noted[0] != header.batch and noted[1] == end and _note_now(directory) == noted:
            findings.error("staging.batch", "its batch id is not the one under which its events were staged", NAME, 0)
        if history is None or end == header.size:
            return None
        staged = _Sections(history, findings).read(directory, end, vault)
        return None if staged is None else Staged((header.batch, end), staged)
    except FileNotFoundError:
        return None  # committed or dropped meanwhile
    except KeyFailure:
        findings.note("staging.sealed", "what is staged could not be checked without the key", NAME)
        return None
    except Corrupt as error:
        findings.error("staging", error.message, NAME, error.details.get("offset"))
        return None


class Staged(NamedTuple):
    """A sound staging file, as a Note has it, and what each aggregate will be once it is committed."""

    note: Note
    aggregates: dict[str, _Staged]


class _Sections:
    """Reads staged events, each against the one before it."""

    def __init__(self, history: History, findings: Findings) -> None:
        self._history = history
        self._findings = findings
        self._staged: dict[str, _Staged] = {}
        self._moved = 0
        self._ids: dict[int, int] = {}

    def read(self, directory: Directory, end: int, vault: Vault | None) -> dict[str, _Staged] | None:
        events = (event for block in read_blocks(directory, end, vault=vault) for event in block.located())
        for offset, (at, envelope, body) in enumerate(events):
            try:
                self._add(envelope, body, offset, at)
            except Corrupt as error:
                self._findings.error("staging.event", error.message, NAME, at)
        self._check_ids()
        if self._moved:
            self._findings.warn(
                "staging.moved", f"{self._moved} aggregates have moved since their events were staged", NAME
            )
            return None
        return self._staged

    def _add(self, envelope_line: bytes, body_line: bytes, offset: int, at: int) -> None:
        envelope = decode_envelope(envelope_line)
        if sha256(body_line).hexdigest() != envelope.body:
            raise Corrupt(f"the body of staged {describe(envelope)} is not the one its envelope names")
        body = decode_body(body_line)
        name = f'{envelope.aggregate_id}","aggregate_type":"{envelope.aggregate_type}'
        staged = self._staged.get(name)
        if staged is None:
            staged = self._staged[name] = _Staged(self._history, name, envelope.version)
            self._moved += not staged.sure
        if envelope.version != staged.version + 1:
            sentence = f"staged {describe(envelope)} stands where version {staged.version + 1} should come"
            self._findings.error("staging.version", sentence, NAME, at, event_of(envelope))
        self._ids[envelope.event_id] = self._ids.get(envelope.event_id, 0) + 1
        if staged.sure:
            append(staged.edge, staged.version, leaf_hash(envelope_line))
        staged.version = envelope.version
        staged.offsets.append(offset)
        _fold(staged, envelope, body.payload, body.metadata)

    def _check_ids(self) -> None:
        for event_id, count in self._ids.items():
            if count > 1:
                self._findings.error("staging.id", f"event id '{event_id}' is staged {count} times", NAME)
        taken = sum(event_id in self._ids for event_id in self._history.aggregates.ids)
        if taken:
            self._findings.warn("staging.moved", f"{taken} staged event ids are taken by committed events", NAME)


def check_staged_rows(snapshot: IndexSnapshot, staged: Staged, findings: Findings, vault: Vault | None = None) -> None:
    """What the index prepared for the commit; it follows the staging file as it is now."""
    count = 0
    try:
        for rows in snapshot.rows("staged"):
            count += len(rows)
            for row in rows:
                _check_row(row, staged.aggregates, findings, vault)
    except IndexDamaged as error:
        findings.error("index", f"SQLite cannot read it: {error.message}", _INDEX)
        return
    if count != len(staged.aggregates):
        sentence = f"{len(staged.aggregates)} aggregates have staged events, but it prepared {count}"
        findings.error("index.staged", sentence, _INDEX)


def _check_row(row: Any, staged: dict[str, _Staged], findings: Findings, vault: Vault | None) -> None:
    (n, kind, name, key, version, root, edge, state, extensions, created, updated, archived, checksum, base, packed) = (
        row
    )
    stored = Row(n, kind, name, key, version, root, edge, state, extensions, created, updated, archived)
    what: dict[str, int | str] = {"aggregate_type": kind, "aggregate_id": name}
    if stored.checksum() != checksum:
        sentence = f"the staged row of aggregate '{kind}/{name}' does not have its checksum"
        findings.error("index.staged", sentence, _INDEX, None, what)
        return
    expected = staged.get(f'{name}","aggregate_type":"{kind}')
    with suppress(Corrupt):  # what is not as it was sealed is not as it is expected either
        state = open_text(state, key, version, STATE, vault)
        extensions = open_text(extensions, key, version, EXTENSIONS, vault)
    encode = canonical.encode_scanned
    if (
        expected is None
        or (version, base, archived) != (expected.version, expected.base, int(expected.archived))
        or (root, edge) != (edge_root(expected.edge), b"".join(expected.edge))
        or (state, extensions) != (encode(expected.state).encode(), encode(expected.extensions).encode())
        or list(unpack(f"<{len(packed) // 4}I", packed)) != expected.offsets
    ):
        sentence = f"the staged row of aggregate '{kind}/{name}' is not what the staged events add up to"
        findings.error("index.staged", sentence, _INDEX, None, what)


def _fold(staged: _Staged, envelope: Envelope, payload: dict[str, Any], metadata: dict[str, Any] | None) -> None:
    if envelope.event_type in RESERVED:
        staged.archived = envelope.event_type == ARCHIVED
        return
    staged.state.update(payload)
    if metadata:
        staged.extensions.update(metadata)
