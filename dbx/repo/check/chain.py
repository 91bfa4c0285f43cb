"""The commits of the log as a whole: a chain, one domain a file, no batch twice."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.errors import Corrupt
from dbx.formats.commit import Commit, decode_commit
from dbx.formats.segment import split_lines

if TYPE_CHECKING:
    from dbx.repo.check.finding import Findings
    from dbx.repo.check.frames import Walk


class Log:
    """The commits of a log as they are met; every one is held against the one before it."""

    def __init__(self, findings: Findings, wanted_seq: int = -1) -> None:
        """`wanted_seq` is a commit to be kept in `wanted` when it is met."""
        self.findings = findings
        self.wanted_seq = wanted_seq
        self.wanted: Commit | None = None
        self.ids: list[bytes] = []
        self.edge: list[bytes] = []
        self.position = 0
        self.positions = array("q")
        self.batches: dict[str, int] = {}
        self.schemas: dict[str, int] = {}
        self.last: Commit | None = None
        self.hole = False
        self.whole = True
        self.places: list[tuple[int, str, int]] = []

    @property
    def head(self) -> str | None:
        """The id of the last commit."""
        return self.ids[-1].hex() if self.ids else None

    def lose(self) -> None:
        """Commits were lost: the next one that is met may be any later one."""
        self.hole, self.whole = True, False

    def start_file(self, walk: Walk) -> str | None:
        """Hold a file's header against the log so far; the domain that its commits must name."""
        header = walk.header
        if header is None:
            self.lose()
            return None
        if not self.hole and (header.seq, header.parent, header.position) != (len(self.ids), self.head, self.position):
            self.findings.error(
                "segment.place",
                f"the header says that commit {header.seq} follows, but the log goes on with commit {len(self.ids)}",
                walk.source.name,
                8,
                {"seq": header.seq},
            )
            self.lose()
        return header.domain

    def decode(self, raw: bytes, file: str, offset: int, domain: str | None) -> list[tuple[Commit, bytes]]:
        """The commits of a C frame with their ids, each held against the one before it."""
        found: list[tuple[Commit, bytes]] = []
        try:
            lines = split_lines(raw)
        except Corrupt as error:
            self.findings.error("frame", error.message, file, offset)
            lines = raw.split(b"\n")
        placed = False
        for line in lines:
            try:
                commit = decode_commit(line)
            except Corrupt as error:
                self.findings.error("commit", error.message, file, offset, {"seq": len(self.ids)})
                self.lose()
                continue
            commit_id = merkle.leaf_hash(line)
            self._chain(commit, commit_id, file, offset, domain)
            if not placed:
                self.places.append((len(self.ids) - 1, file, offset))
                placed = True
            found.append((commit, commit_id))
        return found

    def _chain(self, commit: Commit, commit_id: bytes, file: str, offset: int, domain: str | None) -> None:
        what: dict[str, int | str] = {"seq": commit.seq, "commit": commit_id.hex()}
        seq, name = len(self.ids), f"commit {commit.seq}"
        error = self.findings.error
        if self.hole and commit.seq >= seq and commit.position >= self.position:
            # Commits were lost; their places stay empty.
            missing = commit.seq - seq
            self.ids += [b""] * missing
            self.positions.extend([-1] * missing)
            self.whole = self.whole and not missing
            seq = commit.seq
            self.position = commit.position
        elif commit.seq != seq:
            error("commit.seq", f"{name} stands where commit {seq} should be", file, offset, what)
        elif (commit.parent or "") != (self.head or ""):
            error("commit.parent", f"{name} does not name the commit before it as its parent", file, offset, what)
        elif commit.position != self.position:
            sentence = f"{name} begins at position {commit.position}, but {self.position} events come before it"
            error("commit.position", sentence, file, offset, what)
        self.hole = False
        if domain is not None and commit.domain != domain:
            error("commit.domain", f"{name} is of another domain than its file", file, offset, what)
        if commit.batch is not None:
            first = self.batches.setdefault(commit.batch, seq)
            if first != seq:
                error("commit.batch", f"{name} uses the batch id of commit {first} again", file, offset, what)
        if commit.schema is not None:
            self.schemas.setdefault(commit.schema, seq)
        if self.whole:
            merkle.append(self.edge, seq, commit_id)
        self.ids.append(commit_id)
        self.positions.append(commit.position)
        self.position = commit.position + commit.count
        self.last = commit
        if seq == self.wanted_seq:
            self.wanted = commit
