"""Text that came from elsewhere, made safe to print: it can neither start a new line nor steer the terminal."""

from __future__ import annotations

import re

# C0, DEL, C1, line and paragraph separators, what turns the direction of writing, lone surrogates, BOM, tags.
# Compiled when first needed: most runs print nothing odd.
_UNSAFE = "\\x00-\\x1f\\x7f-\\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\U000e0000-\U000e007f"
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def escape(text: str) -> str:
    """`text` on one line: what could forge output is spelled as JSON spells it (`\\n`, `\\u001b`)."""
    return text if text.isprintable() else re.sub(f"[{_UNSAFE}]", _spell, text)


def escape_lines(text: str) -> str:
    """As escape, but line feeds stay."""
    return re.sub(f"(?!\\n)[{_UNSAFE}]", _spell, text)


def _spell(found: re.Match[str]) -> str:
    char = found[0]
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
