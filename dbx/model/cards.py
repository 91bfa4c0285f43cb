"""Payment card numbers: brand by prefix and length (ISO/IEC 7812-1), and Luhn's check digit (its annex B).

Source of the brands: the facts sheet of EventDBX §3.7, which takes them from the card-validate library. The first brand
whose prefix fits decides the length.
"""

from __future__ import annotations

import re

BRANDS: tuple[tuple[str, str, int, int], ...] = (
    ("Visa Electron", r"4(?:026|17500|405|508|844|91[37])", 16, 16),
    ("Maestro", r"5(?:018|0[23]|[68])|6(?:39|7)", 12, 19),
    ("Forbrugsforeningen", r"600", 16, 16),
    ("Dankort", r"5019", 16, 16),
    ("Visa", r"4", 13, 16),
    ("MIR", r"220[0-4]", 16, 16),
    ("Mastercard", r"5[1-5]|2[2-7]", 16, 16),
    ("American Express", r"3[47]", 15, 15),
    ("Diners Club", r"3[0689]", 14, 14),
    ("Discover", r"6[045]|622", 16, 16),
    ("UnionPay", r"62|88", 16, 19),
    ("JCB", r"35", 16, 16),
)
"""Brand, prefix, shortest and longest number."""

_match_digits = re.compile(r"[0-9]{12,19}", re.ASCII).fullmatch
_brands = [(re.compile(prefix, re.ASCII).match, least, most) for _, prefix, least, most in BRANDS]
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_card_number(text: str) -> bool:
    """Whether `text` is digits only, of a known brand's prefix and length, with a right check digit."""
    if not _match_digits(text):
        return False
    for match, least, most in _brands:
        if match(text):
            return least <= len(text) <= most and _has_right_check_digit(text)
    return False


def _has_right_check_digit(digits: str) -> bool:
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])) % 10 == 0
