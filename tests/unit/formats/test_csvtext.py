"""dbx/formats/csvtext.py: CSV that other readers understand and spreadsheets do not run."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.formats.csvtext import cell_of, encode_row


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=4), max_size=4
    )
)
def test_python_reads_what_was_written(rows: list[list[str]]) -> None:
    text = b"".join(map(encode_row, rows)).decode()
    # Python's reader takes a lone CR for the end of a line only outside of quotes, and refuses NUL in old versions.
    if "\0" not in text:
        assert list(csv.reader(io.StringIO(text, newline=""))) == rows


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["a", "b"], b"a,b\n"),
        ([""], b'""\n'),
        (["", ""], b",\n"),
        (['say "hi"', "a,b", "a\nb", "a\rb", " a "], b'"say ""hi""","a,b","a\nb","a\rb", a \n'),
        (["é"], "é\n".encode()),
    ],
)
def test_quoting(cells: list[str], line: bytes) -> None:
    assert encode_row(cells) == line


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("x", "x"),
        ("42", "42"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (-5, "-5"),
        (1.5, "1.5"),
        (1e21, "1e+21"),
        ({"b": 1, "a": None}, '{"a":null,"b":1}'),
        ([1, "=x"], '[1,"=x"]'),
        ("=1+1", "'=1+1"),
        ("+41", "'+41"),
        ("-5", "'-5"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("'x", "'x"),
        ("a=b", "a=b"),
    ],
)
def test_cells(value: Any, cell: str) -> None:
    assert cell_of(value) == cell
    assert cell_of(value, guard=False) == (value if isinstance(value, str) else cell)
