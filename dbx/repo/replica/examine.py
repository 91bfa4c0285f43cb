"""Events that came from elsewhere, block by block: every rule that they keep by themselves, and two between them.

Nothing is added to an archived aggregate, and a body is missing only where an event says that it was erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.forest import HASH_BYTES
from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.formats.envelope import decode_body
from dbx.model.event import ARCHIVED, ERASED, RESERVED, RESTORED
from dbx.repo.check.blocks import BlockReader, read_slowly, split_name
from dbx.repo.check.shapes import Shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.repo.check.blocks import Columns

NO_BODY = "no-body"
"""The reason in the details of the error that a body is missing, of which no event says that it was erased."""


class Examined(NamedTuple):
    """Events that are right by themselves, and where the frame behind theirs begins. Bodies are None while sealed."""

    events: Columns
    lines: bytes
    bodies: list[bytes] | None
    end: int

    @property
    def names(self) -> Sequence[str]:
        """Whose events they are, as envelopes spell it."""
        return self.events.names

    @property
    def envelopes(self) -> list[bytes]:
        """Their envelopes, taken apart anew each time."""
        return segment.split_lines(self.lines)


class Examiner:
    """Remembers what it has found to be right, and which bodies are missing."""

    def __init__(self) -> None:
        self._blocks = BlockReader()
        self._shapes = Shapes()
        self._empty: set[tuple[str, int]] = set()

    def examine(self, envelopes: bytes, bodies: bytes | None, end: int = 0, *, parse_later: bool = False) -> Examined:
        """The events of an E and a B frame (raw), once every rule is kept that one keeps by itself. Raises Corrupt.

        Of bodies that are sealed with a key that is not here (None) nothing is known. With `parse_later`, whether the
        others are canonical JSON turns out when they are folded.
        """
        columns = None if bodies is None else self._blocks.read(envelopes, bodies)
        if columns is None:
            columns = read_slowly(envelopes, bodies)
            if columns.faults:
                raise Corrupt(columns.faults[0].message)
        elif not parse_later:
            self._shapes.check(columns.kinds, [body or b"" for body in columns.bodies])
        if bodies is None:
            return Examined(columns, envelopes, None, end)
        self._empty.update((columns.names[row], columns.versions[row]) for row in columns.empty)
        return Examined(columns, envelopes, [body or b"" for body in columns.bodies], end)

    def watch(self, block: Examined, numbers: Sequence[int], archived: set[int]) -> None:
        """Events come next, of the aggregates with these numbers, of which some are archived. Raises Corrupt."""
        kinds = block.events.kinds
        if archived.isdisjoint(numbers) and RESERVED.isdisjoint(kinds):
            return
        bodies = [b""] * len(numbers) if block.bodies is None else block.bodies
        for name, number, kind, body in zip(block.names, numbers, kinds, bodies, strict=True):
            if number in archived and kind not in (RESTORED, ERASED):
                raise Corrupt(f"an event was added to the archived aggregate '{'/'.join(split_name(name))}'")
            if kind == ARCHIVED:
                archived.add(number)
            elif kind == RESTORED:
                archived.discard(number)
            elif kind == ERASED and body:
                self._empty.discard((name, _erased_version(body)))

    def make_room(self) -> None:
        """Forget what was only remembered to be faster."""
        self._blocks = BlockReader()

    def check_empty(self) -> None:
        """Every body that is missing was erased by an event. Raises Corrupt."""
        if self._empty:
            name, version = min(self._empty)
            raise Corrupt(
                f"version {version} of '{'/'.join(split_name(name))}' has no body, and no event erased it",
                hint="a fork may say 'redacted: true' in its domain.yaml; then so must the domain that takes it in",
                details={"received": True, "reason": NO_BODY},
            )


def split_leaves(leaves: bytes) -> list[bytes]:
    """Hashes that were joined."""
    return [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]


def _erased_version(body: bytes) -> int:
    version = decode_body(body).payload.get("version")
    if type(version) is not int:
        raise Corrupt("an event erases a body, but does not name a version")
    return version
