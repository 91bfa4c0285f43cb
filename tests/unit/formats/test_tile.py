from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Corrupt
from dbx.formats.tile import MAX_ENTRY_BYTES, Tile, decode_bundle, encode_bundle, tile_path, tiles_between


def test_paths() -> None:
    assert tile_path(Tile(0, 0, 256)) == "tile/0/000"
    assert tile_path(Tile(1, 1234067, 256)) == "tile/1/x001/x234/067"
    assert tile_path(Tile(None, 1000, 3)) == "tile/entries/x001/000.p/3"


def test_the_example_of_the_specification() -> None:
    tiles = [tile for tile in tiles_between(0, 70_000) if tile.level is not None]
    widths = {level: [tile.width for tile in tiles if tile.level == level] for level in (0, 1, 2, 3)}
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [tile_path(tile) for tile in tiles_between(0, 256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_between(0, 0)) == []


@settings(deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 2_000))
def test_what_is_new_with_what_was_is_all(before: int, more: int) -> None:
    had, new, every = (
        set(tiles_between(*sizes)) for sizes in ((0, before), (before, before + more), (0, before + more))
    )
    assert every <= had | new
    assert not had & new
    assert {tile for tile in had if tile.width == 256} <= every


@given(st.lists(st.binary(max_size=30), max_size=256))
def test_bundles(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_bad_bundles() -> None:
    for data in (b"\0", b"\0\5abc", b"\0\0" * 257):
        with pytest.raises(Corrupt):
            decode_bundle(data)
    with pytest.raises(ValueError, match="65,535"):
        encode_bundle([bytes(MAX_ENTRY_BYTES + 1)])
