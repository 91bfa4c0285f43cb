from __future__ import annotations

import pytest

from dbx.model.cards import is_card_number

# Numbers that the brands' own documents publish for tests.
_GOOD = [
    "4539571147647251",
    "343380440754432",
    "5236313877109142",
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "3530111333300000",
    "2221000000000009",
    "2200000000000004",
    "6200000000000005",
    "5019717010103742",
    "6759649826438453",
]
_BAD = ["5236313877109141", "zduhefljsdfKJKJZHUI", "", "4111 1111 1111 1111", "4111-1111-1111-1111", "411111111111111"]
_BAD += ["٤١١١١١١١١١١١١١١١", "4111111111111111\n", "9999999999999995", "34338044075443", "4" * 40]


@pytest.mark.parametrize("number", _GOOD)
def test_numbers_of_known_brands(number: str) -> None:
    assert is_card_number(number)


@pytest.mark.parametrize("number", _BAD)
def test_what_is_no_card_number(number: str) -> None:
    assert not is_card_number(number)


def test_one_wrong_digit_is_noticed() -> None:
    for at in range(16):
        number = "4539571147647251"
        assert not is_card_number(number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1 :])
