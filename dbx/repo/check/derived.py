"""index.db against the log: every row is what its events add up to, and every locator points where it should.

The index may lag; it may never know more than the log. All of it can be made again with 'dbx reindex'.
"""

from __future__ import annotations

from array import array
from operator import lt
from struct import error as StructError  # noqa: N812 - it is a class
from struct import unpack
from typing import TYPE_CHECKING, Any

from dbx.crypto.indextree import EMPTY, leaf_hash
from dbx.crypto.keytree import KeyTree
from dbx.crypto.merkle import joined_edge_root
from dbx.crypto.vault import is_sealed
from dbx.errors import Corrupt
from dbx.repo.check.blocks import split_name
from dbx.repo.check.part import DIGEST_BYTES, digest_of
from dbx.store.indexlayout import IndexDamaged, checksum_of
from dbx.store.readindex import IndexSnapshot
from dbx.store.sealedrows import EXTENSIONS, STATE, open_text

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.repo.check.chain import Log
    from dbx.repo.check.finding import Findings
    from dbx.repo.check.history import History
    from dbx.store.fs import Directory

FILE = "index.db"
_VERSION, _ROOT, _EDGE, _STATE, _EXTENSIONS, _CREATED, _UPDATED, _ARCHIVED, _CHECKSUM = range(4, 13)


def _checksum(row: Any) -> bytes | None:
    try:
        return checksum_of(row)
    except TypeError:
        return None  # a text where bytes should be


class IndexHead:
    """Up to where index.db says that it follows the log, as read before the log; seq -1 for nowhere."""

    __slots__ = ("commit", "edge", "end", "journal", "manifest", "position", "root", "seq")

    def __init__(self, text: str, edge: bytes) -> None:
        """Raises ValueError."""
        seq, commit, position, root, self.manifest, self.journal, end = text.split("|")
        self.seq, self.position, self.end = int(seq), int(position), int(end)
        self.commit, self.root, self.edge = bytes.fromhex(commit), bytes.fromhex(root), edge


def open_snapshot(directory: Directory, findings: Findings) -> tuple[IndexSnapshot | None, IndexHead | None]:
    """The index as it is now, and its head; None where there is none that can be read."""
    try:
        if not directory.stat(FILE).st_size:
            findings.note("index.missing", "it is empty; it is made from the log when it is next needed", FILE)
            return None, None
    except FileNotFoundError:
        findings.note("index.missing", "there is none; it is made from the log when it is next needed", FILE)
        return None, None
    except Corrupt as error:
        findings.error("index", error.message, FILE)
        return None, None
    snapshot = IndexSnapshot(directory.path_of(FILE))
    if snapshot.is_unmade:
        snapshot.close()
        findings.note("index.missing", "it was never finished; it is made from the log when it is next needed", FILE)
        return None, None
    if snapshot.is_old:
        snapshot.close()
        findings.note("index.old", "another version of dbx made it; it is made anew when it is next needed", FILE)
        return None, None
    try:
        found = snapshot.head()
        return snapshot, IndexHead(*found) if found else IndexHead(f"-1||0|{EMPTY.hex()}|||0", b"")
    except IndexDamaged as error:
        findings.error("index", f"SQLite cannot read it: {error.message}", FILE)
    except (ValueError, TypeError, AttributeError):
        findings.error("index.head", "it does not say up to which commit it follows the log", FILE)
    snapshot.close()
    return None, None


def check_head(head: IndexHead, log: Log, journal: str, journal_end: int, undone: set[str], findings: Findings) -> bool:
    """The index knows no commit that the log does not have, and agrees on the one it stands at.

    False where it follows commits that were taken back, so that comparing what it holds says nothing.
    """
    if head.commit.hex() in undone:
        findings.note("index.behind", "it follows commits that were taken back, and is made anew when needed", FILE)
        return False
    _compare_head(head, log, journal, journal_end, findings)
    return True


def _compare_head(head: IndexHead, log: Log, journal: str, journal_end: int, findings: Findings) -> None:
    if not log.whole:
        return
    last = len(log.ids) - 1
    what: dict[str, int | str] = {"seq": head.seq, "commit": head.commit.hex()}
    if head.seq > last:
        sentence = f"the index knows commit {head.seq}, but the log ends with commit {last}"
        findings.error("index.ahead", f"{sentence}: history was lost or cut off", FILE, None, what)
        if not journal and head.journal:
            sentence = f"it is missing, but the index knows commits in it up to byte {head.end}"
            findings.error("journal.missing", sentence, head.journal, None, what)
        return
    if head.journal == journal and head.end > journal_end:
        sentence = f"the index knows {journal} up to byte {head.end}, but its commits end at byte {journal_end}"
        findings.error("index.ahead", f"{sentence}: history was lost or cut off", FILE, None, what)
    if head.seq < 0:
        if last >= 0:
            findings.note("index.behind", f"it is {last + 1} commits behind the log, and catches up when needed", FILE)
        return
    if log.ids[head.seq] != head.commit:
        sentence = f"the index knows another commit {head.seq} than the log has"
        findings.error("index.ahead", f"{sentence}: history was changed", FILE, None, what)
        return
    commit = log.wanted
    if commit is not None and (commit.position + commit.count, commit.index) != (head.position, head.root.hex()):
        findings.error("index.head", "its position or root is not that of the commit it stands at", FILE, None, what)
    if head.seq == last and head.edge != b"".join(log.edge):
        findings.error("index.head", "its edge of the commit log is not that of the log", FILE, None, what)
    if head.seq < last:
        behind = last - head.seq
        findings.note("index.behind", f"it is {behind} commits behind the log, and catches up when needed", FILE)


class IndexCheck:
    """Compares what the snapshot holds with a history that was followed to its end."""

    def __init__(
        self,
        snapshot: IndexSnapshot,
        head: IndexHead,
        log: Log,
        history: History,
        manifest: str,
        findings: Findings,
        vault: Vault | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._vault = vault
        self._head = head
        self._log = log
        self._history = history
        self._tree = history.tree
        self._aggregates = history.aggregates
        self._manifest = manifest
        self._findings = findings
        self._numbers: dict[int, int] = {}
        self._compared: set[int] = set()
        # By number, what `digest_of` makes of the row of each aggregate; zeros where that is not compared.
        self._digests = bytearray(DIGEST_BYTES * len(self._aggregates.names))
        self._are_open = True
        # By key, the leaf hash of each row, where these are behind the log.
        self._leaves: dict[bytes, bytes] = {}
        self.current = head.seq == len(log.ids) - 1
        # Aggregates with events that the index does not have yet.
        self._moved = set() if self.current else set(self._aggregates.numbers[head.position :])

    def run(self) -> None:
        """All tables."""
        try:
            complaints = self._snapshot.complaints()
            for complaint in complaints:
                self._error("index.sqlite", f"SQLite says: {complaint}")
            if not complaints:
                self._check_tables()
        except IndexDamaged as error:
            self._error("index", f"SQLite cannot read it: {error.message}")
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError, StructError):
            # SQLite puts a value of any kind into any column.
            self._error("index", "a row of it holds a value that cannot be")

    def _check_tables(self) -> None:
        self._check_aggregates()
        if self._history.whole:
            self._check_chains()
            self._check_runs()
            self._check_log()
            if self._head.manifest == self._manifest:
                self._check_places("block", self._history.places, self._head.position)
                self._check_places("commits", self._log.places, self._head.seq + 1)
        self._check_pages()
        # Last, because what other processes fold may still be on its way.
        self._check_states()

    def _error(self, code: str, sentence: str, number: int | None = None) -> None:
        what: dict[str, int | str] = {}
        if number is not None:
            what["aggregate_type"], what["aggregate_id"] = split_name(self._history.name(number))
        self._findings.error(code, sentence, FILE, None, what)

    def _check_aggregates(self) -> None:
        names = self._aggregates.names
        seen: set[int] = set()
        for rows in self._snapshot.rows("aggregate"):
            for row in rows:
                number = names.get(f'{row[2]}","aggregate_type":"{row[1]}')
                if not self._history.whole and (number is None or number == self._aggregates.unknown):
                    continue
                if number is None or number == self._aggregates.unknown or number in seen:
                    self._error("index.row", f"it has a row of aggregate '{row[1]}/{row[2]}', which the log has not")
                    continue
                seen.add(number)
                self._numbers[row[0]] = number
                if self._check_row(row, number):
                    self._compared.add(number)
                    self._digest(row, number)
        if self._history.whole:
            known = seen if self.current else seen | self._moved
            expected = len(names) - (self._aggregates.unknown >= 0)
            for number in set(range(expected)) - known if len(known) < expected else ():
                kind, name = split_name(self._history.name(number))
                self._error("index.row", f"it has no row of aggregate '{kind}/{name}'", number)

    def _check_row(self, row: Any, number: int) -> bool:
        """Whether the row's state is to be compared too."""
        if not self.current:
            self._leaves[row[3]] = leaf_hash(row[3], row[_VERSION], row[_ROOT])
        if _checksum(row) != row[_CHECKSUM]:
            sentence = f"the row of aggregate '{row[1]}/{row[2]}' does not have its checksum"
            self._error("index.row", sentence, number)
            return False
        tree, aggregates = self._tree, self._aggregates
        if not self._history.whole or number in tree.broken:
            return False  # events of it may be among those that were lost
        if number in self._moved:
            if row[_VERSION] >= tree.versions[number]:
                sentence = f"aggregate '{row[1]}/{row[2]}' has a later version in it than in the log"
                self._error("index.row", sentence, number)
            return False
        edge = tree.edges[number]
        if row[3:_STATE] != (tree.keys[number], tree.versions[number], joined_edge_root(edge), edge):
            sentence = f"aggregate '{row[1]}/{row[2]}' is not the one that its events add up to"
            self._error("index.row", sentence, number)
            return False
        times = (aggregates.created[number], aggregates.updated[number], number in self._history.archived)
        if row[_CREATED:_CHECKSUM] != times:
            sentence = f"the times or the archive mark of aggregate '{row[1]}/{row[2]}' are wrong in it"
            self._error("index.row", sentence, number)
        return number not in self._history.unfolded and not self._history.sealed

    def _digest(self, row: Any, number: int) -> None:
        state, extensions = row[_STATE:_CREATED]
        if is_sealed(state) or is_sealed(extensions):
            try:
                state = open_text(state, row[3], row[_VERSION], STATE, self._vault)
                extensions = open_text(extensions, row[3], row[_VERSION], EXTENSIONS, self._vault)
            except Corrupt:
                self._are_open = False
                return
        if not is_sealed(state) and not is_sealed(extensions):
            at = DIGEST_BYTES * number
            self._digests[at : at + DIGEST_BYTES] = digest_of(state, extensions)

    def _check_states(self) -> None:
        """The states of the rows that are as they should be otherwise."""
        if not self._are_open or not self._have_digests():
            self._find_wrong_states()

    def _have_digests(self) -> bool:
        """Whether each state that is compared has the hash of what the events add up to."""
        expected, found = self._aggregates.digests(), self._digests
        if expected == found:
            return True
        none = bytes(DIGEST_BYTES)
        for at in range(0, len(found), DIGEST_BYTES):
            if found[at : at + DIGEST_BYTES] not in (expected[at : at + DIGEST_BYTES], none):
                return False
        return True

    def _find_wrong_states(self) -> None:
        """Say which states are wrong. Raises Again where only their hashes are known."""
        aggregates, compared = self._aggregates, self._compared
        for rows in self._snapshot.rows("state"):
            for n, kind, name, key, version, sealed_state, sealed_extensions in rows:
                number = self._numbers.get(n, -1)
                if number not in compared:
                    continue
                try:
                    state = open_text(sealed_state, key, version, STATE, self._vault)
                    extensions = open_text(sealed_extensions, key, version, EXTENSIONS, self._vault)
                except Corrupt as error:
                    self._error("index.state", f"of aggregate '{kind}/{name}', {error.message}", number)
                    continue
                if is_sealed(state) or is_sealed(extensions):
                    continue
                if aggregates.state(number) != state:
                    sentence = f"the state of aggregate '{kind}/{name}' is not what its events add up to"
                    self._error("index.state", sentence, number)
                if aggregates.extension(number) != extensions:
                    sentence = f"the extensions of aggregate '{kind}/{name}' are not what its events add up to"
                    self._error("index.state", sentence, number)

    def _check_chains(self) -> None:
        by_position, end = self._aggregates.numbers, self._head.position
        at = array("q", bytes(8 * len(self._aggregates.names)))
        last = array("q", [-1]) * len(at)
        wrong: set[int] = set()
        for rows in self._snapshot.rows("chain"):
            for n, version, base, packed in rows:
                number = self._numbers.get(n)
                if number is None or number in wrong:
                    continue
                offsets = unpack(f"<{len(packed) // 4}I", packed)
                if (
                    version != at[number] + 1
                    or not offsets
                    or len(packed) % 4
                    or not last[number] < base + offsets[0]
                    or not base + offsets[-1] < end
                    or not all(map(lt, offsets, offsets[1:]))
                    or [by_position[base + offset] for offset in offsets].count(number) != len(offsets)
                ):
                    wrong.add(number)
                    continue
                at[number] += len(offsets)
                last[number] = base + offsets[-1]
        for number in self._numbers.values():
            count = self._tree.versions[number]
            if number not in wrong and at[number] != count and not (number in self._moved and at[number] < count):
                wrong.add(number)
        for number in sorted(wrong):
            kind, name = split_name(self._history.name(number))
            self._error("index.chain", f"it does not find the events of aggregate '{kind}/{name}'", number)

    def _check_runs(self) -> None:
        ids = self._aggregates.ids
        position = 0
        for rows in self._snapshot.rows("run"):
            for first, count, start in rows:
                if (
                    start != position
                    or count < 1
                    or ids[start : start + count] != array("q", range(first, first + count))
                ):
                    self._error("index.run", f"it does not find the events from position {position} on by their ids")
                    return
                position += count
        if position != self._head.position:
            self._error("index.run", f"it does not find the events from position {position} on by their ids")

    def _check_log(self) -> None:
        log = self._log
        batches = {seq: batch for batch, seq in log.batches.items()}
        expected = 0
        for rows in self._snapshot.rows("log"):
            for seq, commit_id, position, batch in rows:
                if seq != expected or seq >= len(log.ids):
                    break
                if (commit_id, position, batch) != (log.ids[seq], log.positions[seq], batches.get(seq)):
                    break
                expected += 1
        if expected != self._head.seq + 1:
            self._error("index.log", f"what it knows of commit {expected} is not what the log says")

    def _check_places(self, table: str, places: list[tuple[int, str, int]], end: int) -> None:
        """Locators of blocks (by position) or C frames (by seq), those before `end`."""
        expected = iter([place for place in places if place[0] < end])
        for rows in self._snapshot.rows(table):
            for row in rows:
                if tuple(row) != next(expected, None):
                    self._error("index.place", f"it does not find the {table} from {row[0]} on where they lie")
                    return
        missing = next(expected, None)
        if missing is not None:
            self._error("index.place", f"it does not find the {table} from {missing[0]} on")

    def _check_pages(self) -> None:
        stored: dict[bytes, bytes] = {}
        for rows in self._snapshot.rows("page"):
            stored.update(rows)
        if self.current:
            if not self._tree.sure:
                return
            pages = self._tree.take_pages()
        else:
            tree = KeyTree()
            if tree.update(self._leaves) != self._head.root:
                self._error("index.page", "its aggregates do not have the index root of the commit it stands at")
                return
            pages = dict(tree.pages())
        if stored != pages:
            self._error("index.page", "a page of its index tree is missing, wrong or one too many")
