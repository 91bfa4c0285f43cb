"""Tiles as a client reads them: a root from tiles alone, entries that hash to the leaves, growth without rewriting."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.crypto import merkle
from dbx.errors import Corrupt, Failure, Invalid
from dbx.formats.checkpoint import parse_checkpoint
from dbx.formats.note import parse_note
from dbx.formats.tile import Tile, decode_bundle, tile_path
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.evidence.tiles import export_tiles
from dbx.repo.repository import Repository
from dbx.repo.vault.keys import generate_key
from dbx.repo.writer import Append, Appender
from tests.history import item, open_repository


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    repository = open_repository(tmp_path / "shop")
    generate_key(repository, "acme")
    return repository


def grow(repository: Repository, count: int) -> bytes:
    appender = Appender(repository.domain())
    for _ in range(count):
        appender.append(Append([item("o")], issued_by=None))
    return sign_checkpoint(repository, repository.domain()).note


def read(path: Path, level: int | None, size: int) -> list[bytes]:
    """All hashes of a level, or all entries, of a log of `size` entries, as a client finds them."""
    found: list[bytes] = []
    count = size >> 8 * (level or 0)
    for number in range(-(-count // 256)):
        data = (path / tile_path(Tile(level, number, min(256, count - 256 * number)))).read_bytes()
        found += decode_bundle(data) if level is None else [data[at : at + 32] for at in range(0, len(data), 32)]
    return found


def check(path: Path) -> None:
    checkpoint = parse_checkpoint(parse_note((path / "checkpoint").read_bytes()).text)
    entries, leaves = read(path, None, checkpoint.size), read(path, 0, checkpoint.size)
    assert [merkle.leaf_hash(entry) for entry in entries] == leaves
    assert len(leaves) == checkpoint.size
    assert merkle.root(leaves) == checkpoint.root
    assert read(path, 1, checkpoint.size) == [
        merkle.root(leaves[at : at + 256]) for at in range(0, checkpoint.size // 256 * 256, 256)
    ]


def test_what_a_client_reads(shop: Repository, tmp_path: Path) -> None:
    path = tmp_path / "tiles"
    before = 0
    for more in (1, 4, 251, 1, 300, 0):
        done = export_tiles(shop.domain(), str(path), grow(shop, more))
        assert (done.before, done.checkpoint.size) == (before, before + more)
        before += more
        check(path)
    assert done.files == 1
    for file in path.rglob("*"):
        assert file.is_dir() or file.stat().st_mode & 0o044 == 0o044


def test_full_tiles_are_not_written_again(shop: Repository, tmp_path: Path) -> None:
    export_tiles(shop.domain(), str(tmp_path / "tiles"), grow(shop, 256))
    full = tmp_path / "tiles" / "tile" / "0" / "000"
    before = full.stat().st_ino
    export_tiles(shop.domain(), str(tmp_path / "tiles"), grow(shop, 1))
    assert full.stat().st_ino == before


def test_other_things_lie_there(shop: Repository, tmp_path: Path) -> None:
    note = grow(shop, 3)
    other = open_repository(tmp_path / "other")
    generate_key(other, "other")
    export_tiles(other.domain(), str(tmp_path / "theirs"), grow(other, 2))
    with pytest.raises(Invalid, match="another log"):
        export_tiles(shop.domain(), str(tmp_path / "theirs"), note)
    with pytest.raises(Corrupt):
        export_tiles(other.domain(), str(tmp_path / "new"), note)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").touch()
    with pytest.raises(Invalid, match="not empty"):
        export_tiles(shop.domain(), str(tmp_path / "home"), note)
    with pytest.raises(Failure, match="no directory"):
        export_tiles(shop.domain(), str(tmp_path / "no" / "where"), note)
    assert not (tmp_path / "new").exists()


def test_an_older_checkpoint_than_what_lies_there(shop: Repository, tmp_path: Path) -> None:
    old = grow(shop, 3)
    export_tiles(shop.domain(), str(tmp_path / "tiles"), grow(shop, 2))
    with pytest.raises(Invalid, match="more than 3"):
        export_tiles(shop.domain(), str(tmp_path / "tiles"), old)


def test_an_interrupted_export_is_completed(shop: Repository, tmp_path: Path) -> None:
    note = grow(shop, 300)
    path = tmp_path / "tiles"
    export_tiles(shop.domain(), str(path), note)
    (path / "checkpoint").unlink()
    (path / "tile" / "0" / "000").write_bytes(b"half")
    export_tiles(shop.domain(), str(path), note)
    check(path)
