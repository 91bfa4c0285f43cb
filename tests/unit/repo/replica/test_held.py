"""Bodies that are held come again as they were, from memory or from their files, in either order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dbx.crypto.vault import Vault
from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.repo.replica.held import HeldBlock, HeldBodies, Place
from dbx.store.fs import Directory
from dbx.store.segments import SEGMENTS, FrameReader, SegmentWriter

DOMAIN = "6f9c0c0e-5f0a-4c55-9a55-2f3a3a9b7a11"


def write(directory: Directory, bodies: Sequence[Sequence[bytes]], position: int, vault: Vault) -> list[Place]:
    """A segment of blocks with these bodies; where those lie."""
    os.makedirs(directory.path)
    directory.make(SEGMENTS)
    with directory.temporary(SEGMENTS) as temporary:
        writer = SegmentWriter(
            temporary,
            domain=DOMAIN,
            parent="0" * 64 if position else None,
            position=position,
            seq=min(position, 1),
            pool=None,
            vault=vault,
        )
        for lines in bodies:
            writer.add([b"envelope"] * len(lines), list(lines))
            writer.add_commits([b"{}"])
        sha, _ = writer.finish()
    name = f"{SEGMENTS}/{sha}.seg"
    fd = directory.open_read(name)
    reader = FrameReader(fd, name)
    places = []
    _, at = reader.header()
    while at < reader.size:
        frame, _, end = reader.frame(at)
        if frame.kind == segment.B:
            places.append(Place(directory, name, at))
        at = end
    os.close(fd)
    return places


@pytest.fixture(params=["plain", "sealed"])
def vault(request: pytest.FixtureRequest) -> Vault:
    vault = Vault()
    if request.param == "sealed":
        vault.put({bytes(8): bytes(32)}, bytes(8), is_sealed=True)
    return vault


def test_blocks_come_forwards_and_backwards_from_wherever_they_are(tmp_path: Path, vault: Vault) -> None:
    bodies = [[b"%d.%d" % (n, m) for m in range(n % 3 + 1)] for n in range(100)]
    first, second = Directory(str(tmp_path / "a")), Directory(str(tmp_path / "b"))
    starts = [sum(map(len, bodies[:n])) for n in range(100)]
    places: list[Place | Sequence[bytes]] = [*write(first, bodies[:40], 7, vault)]
    places += bodies[40:60]
    places += write(second, bodies[60:], 7 + starts[60], vault)
    held = HeldBodies(vault)
    for n, place in enumerate(places):
        held.hold(HeldBlock(starts[n], len(bodies[n]), 100, place, n == 50, lambda error: error))
    assert held.size == 20 * 100
    assert [(block.first, list(lines)) for block, lines in held.forwards(7)] == list(zip(starts, bodies, strict=True))
    backwards = [(block.first, list(lines)) for some in held.backwards(7) for block, lines in some]
    assert backwards == list(zip(starts, bodies, strict=True))[::-1]


def test_large_blocks_are_not_held_all_at_once(tmp_path: Path) -> None:
    held = HeldBodies(None)
    for n in range(8):
        held.hold(HeldBlock(n, 1, 3 * 1024 * 1024, [b"%d" % n], False, lambda error: error))
    assert [len(some) for some in held.backwards(0)] == [2, 2, 2, 2]


def test_a_file_that_has_changed_is_told(tmp_path: Path, vault: Vault) -> None:
    directory = Directory(str(tmp_path / "a"))
    (place,) = write(directory, [[b"1", b"2"]], 0, vault)
    held = HeldBodies(vault)
    held.hold(HeldBlock(0, 3, 4, place, False, lambda error: error))
    with pytest.raises(Corrupt, match="the file has changed while it was checked"):
        list(held.forwards(0))
    path = Path(directory.path, place.name)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[place.offset + segment.HEADER_BYTES] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="damaged at byte"):
        list(held.forwards(0))
