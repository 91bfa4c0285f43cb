"""index.db: a derived SQLite database of aggregates, locators and the pages of the index tree.

Nothing here is authority. Every row follows from the log (the staged tables: from staging.jsonl), any process may
bring it forward, and a lost, stale or damaged file is rebuilt. A write begins with the head it was computed from and
is refused (`MovedIndex`) if another process was faster. Rows carry a checksum, so that a flipped bit is not believed.

Positions, versions and seqs count as format.md has them; hashes are 32 raw bytes; times are the text of events.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dbx.store.database import Database
from dbx.store.indexlayout import (
    COLUMNS,
    LAYOUT,
    TABLES,
    Head,
    IndexDamaged,
    IndexUnavailable,
    MovedIndex,
    Row,
    checked_row,
    head_checksum,
    unpack_positions,
)
from dbx.store.sealedrows import seal_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.store.ahead import Ahead

__all__ = ["Head", "Index", "IndexDamaged", "IndexUnavailable", "MovedIndex", "Row"]


class Index(Database):
    """A connection to index.db. Raises IndexDamaged, or IndexUnavailable for a full or unwritable disk."""

    def __init__(self, path: str, vault: Vault | None = None, *, timeout_s: float = 60.0) -> None:
        super().__init__(path, LAYOUT, timeout_s=timeout_s)
        self.vault = vault
        self._stands: tuple[int, Head] | None = None

    def _check_layout(self, number: int) -> None:
        if number != LAYOUT.number:  # newer or older: it is made anew
            raise IndexDamaged(f"'{self.path}' has the layout {number} of another version of dbx")

    # -- head ------------------------------------------------------------------------------------------------------

    def head(self) -> Head:
        """Up to where the index follows the log."""
        found = dict(self.all("SELECT name, value FROM meta WHERE name IN ('head', 'edge', 'head.sum')"))  # at once
        if not found:
            return Head(-1, b"", 0, sha256(b"").digest(), b"", "", "", 0)
        try:
            text, edge = found["head"], found["edge"]
            if found["head.sum"] != head_checksum(text, edge):
                raise ValueError
            seq, commit, position, root, manifest, journal, end = text.split("|")
            return Head(
                int(seq), bytes.fromhex(commit), int(position), bytes.fromhex(root), edge, manifest, journal, int(end)
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IndexDamaged(f"'{self.path}' does not say how far it goes") from error

    @contextmanager
    def snapshot(self, base: Head) -> Iterator[None]:
        """What is read inside is the index as it stands at `base`; raises MovedIndex if it is elsewhere."""
        with self._guard():
            self._db.execute("BEGIN")
            try:
                # Nobody else has written since it was last seen there: one cheap question instead of three rows.
                stands = (self.stamp(), base)
                if stands != self._stands:
                    if self.head() != base:
                        raise MovedIndex("the index was brought forward by another process")
                    self._stands = stands
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")

    @contextmanager
    def write(self, base: Head | None, ahead: Ahead | None = None) -> Iterator[Index]:
        """A write transaction on top of `base`; raises MovedIndex if the index is elsewhere. All or nothing.

        It goes on with what was done `ahead`, if anything was.
        """
        self._stands = None
        with self.transaction(ahead):
            if base is not None and self.head() != base:
                raise MovedIndex("the index was brought forward by another process")
            yield self

    def set_head(self, head: Head) -> None:
        """Inside `write`."""
        text = "|".join(
            (
                str(head.seq),
                head.commit.hex(),
                str(head.position),
                head.root.hex(),
                head.manifest,
                head.journal,
                str(head.journal_end),
            )
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            (("head", text), ("edge", head.edge), ("head.sum", head_checksum(text, head.edge))),
        )

    # -- aggregates ------------------------------------------------------------------------------------------------

    def find(self, aggregate_type: str, aggregate_id: str) -> Row | None:
        """One aggregate."""
        found = self.one(f"SELECT {COLUMNS} FROM aggregate WHERE type = ? AND id = ?", aggregate_type, aggregate_id)
        return None if found is None else checked_row(found, self.vault)

    def has_type(self, aggregate_type: str) -> bool:
        """Whether any aggregate of that type is stored or staged."""
        return bool(
            self.one("SELECT 1 FROM aggregate WHERE type = ? LIMIT 1", aggregate_type)
            or self.one("SELECT 1 FROM staged WHERE type = ? LIMIT 1", aggregate_type)
        )

    def rows(self, where: str = "1", values: Sequence[Any] = (), order: str = "type, id", take: int = -1) -> list[Row]:
        """Aggregates by a WHERE clause and an order made of column names by the caller, never of a user's text."""
        sql = f"SELECT {COLUMNS} FROM aggregate WHERE {where} ORDER BY {order} LIMIT {int(take)}"
        return [checked_row(found, self.vault) for found in self.all(sql, *values)]

    def count(self) -> tuple[int, int]:
        """How many aggregates there are, and how many of them are archived."""
        found = self.one("SELECT count(*), coalesce(sum(archived), 0) FROM aggregate")
        return int(found[0]), int(found[1])

    def types(self) -> list[tuple[str, int]]:
        """Every type with its number of aggregates."""
        return self.all("SELECT type, count(*) FROM aggregate GROUP BY type ORDER BY type")

    def read_page(self, prefix: bytes) -> bytes | None:
        """For the index tree."""
        found = self.one("SELECT slots FROM page WHERE prefix = ?", prefix)
        return None if found is None else found[0]

    def read_leaves(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """For the index tree: the keys under a prefix of nibbles, with their leaf hashes."""
        text = "".join(f"{nibble:x}" for nibble in prefix)
        low, high = bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))
        found = self.all("SELECT key, version, root FROM aggregate WHERE key BETWEEN ? AND ? ORDER BY key", low, high)
        return [
            (key, sha256(b"\x00" + key + version.to_bytes(8, "big") + root).digest()) for key, version, root in found
        ]

    def put_rows(self, rows: Iterable[Row]) -> None:
        """Insert or replace aggregates, whose row numbers are set, inside `write`."""
        self._db.executemany(
            f"INSERT OR REPLACE INTO aggregate ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            ((*row, row.checksum()) for row in seal_rows(rows, self.vault)),
        )

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Around many `put_rows`; between them, nobody asks for an aggregate by its name."""
        yield

    def update_rows(self, rows: Iterable[Row]) -> None:
        """Bring stored aggregates forward, inside `write`. What never changes, and its indexes, are left alone."""
        self._db.executemany(
            "UPDATE aggregate SET version = ?, root = ?, edge = ?, state = ?, extensions = ?, updated_at = ?,"
            " archived = ?, checksum = ? WHERE n = ?",
            (
                (r.version, r.root, r.edge, r.state, r.extensions, r.updated_at, r.archived, r.checksum(), r.n)
                for r in seal_rows(rows, self.vault)
            ),
        )

    def put_pages(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """Pages of the index tree, inside `write`."""
        self._db.executemany("INSERT OR REPLACE INTO page VALUES (?, ?)", pages)

    def last_n(self) -> int:
        """The largest row number of an aggregate, 0 for none."""
        return int(self.one("SELECT coalesce(max(n), 0) FROM aggregate")[0])

    # -- locators --------------------------------------------------------------------------------------------------

    def put_chain(self, aggregate: int, version: int, positions: Sequence[int]) -> None:
        """The positions of the events from `version` on, inside `write`; short chains grow in place."""
        last = self._db.execute(
            "SELECT version, base, positions FROM chain WHERE aggregate = ? ORDER BY version DESC LIMIT 1", (aggregate,)
        ).fetchone()
        if last is not None and len(last[2]) < 512 and positions[-1] - last[1] < 2**32:
            packed = last[2] + struct.pack(f"<{len(positions)}I", *[p - last[1] for p in positions])
            self._db.execute(
                "UPDATE chain SET positions = ? WHERE aggregate = ? AND version = ?", (packed, aggregate, last[0])
            )
            return
        self.put_chains(((aggregate, version, positions),))

    def put_chains(self, chains: Iterable[tuple[int, int, Sequence[int]]]) -> None:
        """Fresh chains of (aggregate, first version, positions), inside `write`."""
        self._db.executemany(
            "INSERT INTO chain VALUES (?, ?, ?, ?)",
            (
                (n, version, positions[0], struct.pack(f"<{len(positions)}I", *[p - positions[0] for p in positions]))
                for n, version, positions in chains
            ),
        )

    def positions(self, aggregate: int, first: int = 1, last: int = 2**62) -> list[int]:
        """The positions of the events `first`..`last` (versions) of an aggregate, in order."""
        found = self.all(
            "SELECT version, base, positions FROM chain WHERE aggregate = ? AND version >= coalesce("
            "(SELECT max(version) FROM chain WHERE aggregate = ? AND version <= ?), 0)"
            " AND version <= ? ORDER BY version",
            aggregate, aggregate, first, last,
        )  # fmt: skip
        positions: list[int] = []
        for version, base, packed in found:
            chain = unpack_positions(packed)
            positions += [base + p for p in chain[max(0, first - version) : max(0, last - version + 1)]]
        return positions

    def positions_of_type(self, aggregate_type: str, first: int = 0, behind: int = 2**62) -> list[int]:
        """The positions of the events of a type, in log order: those from `first` on and before `behind`."""
        sql = "SELECT base, positions FROM chain JOIN aggregate ON n = aggregate WHERE type = ? AND base < ?"
        positions: list[int] = []
        with self._guard():
            for base, packed in self._db.execute(sql, (aggregate_type, behind)):
                positions += [p for offset in unpack_positions(packed) if first <= (p := base + offset) < behind]
        positions.sort()
        return positions

    def put_log(self, commits: Iterable[tuple[int, bytes, int, str | None]]) -> None:
        """(seq, id, position, batch) of commits, inside `write`."""
        self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?)", commits)

    def find_commit(self, seq: int) -> tuple[bytes, int] | None:
        """The id of a commit and the position of its first event."""
        found = self.one("SELECT id, position FROM log WHERE seq = ?", seq)
        return None if found is None else (found[0], int(found[1]))

    def find_commits(self, prefix: str) -> list[tuple[int, bytes]]:
        """(seq, id) of the commits whose id in hex begins with the prefix; at most ten."""
        low, high = bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
        return self.all("SELECT seq, id FROM log WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 10", low, high)

    def find_batch(self, batch: str) -> int | None:
        """The seq of the commit that used a staging batch."""
        found = self.one("SELECT seq FROM log WHERE batch = ?", batch)
        return None if found is None else int(found[0])

    def put_runs(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """(first event id, count, position) of consecutive ids, inside `write`."""
        self._db.executemany("INSERT INTO run VALUES (?, ?, ?)", runs)

    def find_event(self, event_id: int) -> int | None:
        """The position of an event."""
        found = self.one(
            "SELECT first, count, position FROM run WHERE first <= ? ORDER BY first DESC LIMIT 1", event_id
        )
        if found is None or event_id >= found[0] + found[1]:
            return None
        return int(found[2]) + event_id - int(found[0])

    def runs_between(self, low: int, high: int, *, staged: bool = False) -> bool:
        """Whether any event id in low..high is taken."""
        table = "staged_run" if staged else "run"
        sql = f"SELECT first + count > ? FROM {table} WHERE first <= ? ORDER BY first DESC LIMIT 1"
        found = self.one(sql, low, high)
        return found is not None and bool(found[0])

    def put_blocks(self, file: str, blocks: Iterable[tuple[int, int]], commits: Iterable[tuple[int, int]]) -> None:
        """Where the blocks (first position, offset) and C frames (first seq, offset) of a file lie, inside `write`."""
        self._db.executemany("INSERT OR REPLACE INTO block VALUES (?, ?, ?)", [(p, file, at) for p, at in blocks])
        self._db.executemany("INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", [(s, file, at) for s, at in commits])

    def files(self) -> list[str]:
        """The files that locators point into."""
        return [found[0] for found in self.all("SELECT DISTINCT file FROM commits")]

    def drop_file(self, file: str) -> None:
        """Forget the locators of a file, inside `write`."""
        self._db.execute("DELETE FROM block WHERE file = ?", (file,))
        self._db.execute("DELETE FROM commits WHERE file = ?", (file,))

    def find_block(self, position: int) -> tuple[int, str, int] | None:
        """(first position, file, offset) of the block that holds a position."""
        found = self.one(
            "SELECT position, file, offset FROM block WHERE position <= ? ORDER BY position DESC LIMIT 1", position
        )
        return None if found is None else (int(found[0]), str(found[1]), int(found[2]))

    def find_commit_frame(self, seq: int) -> tuple[int, str, int] | None:
        """(first seq, file, offset) of the C frame that holds a commit."""
        found = self.one("SELECT seq, file, offset FROM commits WHERE seq <= ? ORDER BY seq DESC LIMIT 1", seq)
        return None if found is None else (int(found[0]), str(found[1]), int(found[2]))

    def last_id_of(self, worker: int) -> int | None:
        """The largest event id of a Snowflake worker."""
        found = self.one("SELECT max(first + count - 1) FROM run WHERE (first >> 12) & 1023 = ?", worker)
        return None if found[0] is None else int(found[0])

    def clear(self) -> None:
        """Empty every table, so that the index is made again from the log. Other processes see all of it or nothing."""
        with self.write(None):
            for name in TABLES:
                self._db.execute(f"DELETE FROM {name}")

    def count_pages(self) -> int:
        """How many pages the file has, those without use among them."""
        return int(self.one("PRAGMA page_count")[0])

    def compact(self, *, beyond: int = 0) -> None:
        """Give unused pages back to the file system when there are more than `beyond` of them."""
        if self.one("PRAGMA freelist_count")[0] > beyond:
            wait_ms = self.one("PRAGMA busy_timeout")[0]
            with self._guard():
                # The pragma frees a page for each step, and only a script is stepped to its end. Who reads for long, as
                # fsck does, is not waited for: the next one who compacts shortens the file.
                checkpoint = f"PRAGMA busy_timeout=0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout={wait_ms}"
                self._db.executescript(f"PRAGMA incremental_vacuum; {checkpoint}").close()

    def check(self) -> list[str]:
        """SQLite's own integrity check: its complaints, none when all is well."""
        return [found[0] for found in self.all("PRAGMA integrity_check(20)") if found[0] != "ok"]
