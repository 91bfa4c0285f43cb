import json

import pytest

from dbx.cli.text import escape, escape_lines


@pytest.mark.parametrize("text", ["plain", "Ümläut ✓ 日本 👩‍🚀", "a\\nb", "nbsp\u00a0here", ""])
def test_harmless_text_stays(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31m\x07\x7f\x9b", "\\u001b[31m\\u0007\\u007f\\u009b"),
        ("\u2028\u2029\u202e\u2066\u200f\ufeff\u061c", "\\u2028\\u2029\\u202e\\u2066\\u200f\\ufeff\\u061c"),
        ("\ud800x\udcff", "\\ud800x\\udcff"),
        ("\U000e0041", "\\udb40\\udc41"),
    ],
)
def test_what_could_forge_output_is_spelled_out(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_line_feeds_stay_in_longer_text() -> None:
    assert escape_lines("a\n\tb\x1b\n") == "a\n\\tb\\u001b\n"


def test_the_spelling_is_that_of_json() -> None:
    for code in range(0x110000):
        char = chr(code)
        if char not in '"\\' and escape(char) != char:
            assert json.loads(f'"{escape(char)}"') == char
