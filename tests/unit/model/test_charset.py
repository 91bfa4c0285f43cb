from __future__ import annotations

from dbx.model.charset import LAST, fold, merge, negate


def test_merge_puts_ranges_in_order_and_together() -> None:
    assert merge([(5, 9), (1, 3), (4, 4), (8, 12), (20, 20)]) == ((1, 12), (20, 20))
    assert merge([]) == ()


def test_negate_twice_is_the_same() -> None:
    ranges = ((0, 3), (10, 10), (40, LAST))
    assert negate(ranges) == ((4, 9), (11, 39))
    assert negate(negate(ranges)) == ranges
    assert negate(()) == ((0, LAST),)
    assert negate(((0, LAST),)) == ()


def test_fold_pairs_ascii_letters_only() -> None:
    assert fold(((ord("a"), ord("c")),)) == ((65, 67), (97, 99))
    assert fold(((ord("Y"), ord("b")),)) == ((65, 66), (89, 98), (121, 122))
    assert fold(((0xE9, 0xE9),)) == ((0xE9, 0xE9),)
