from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.formats.base64text import encode_base64, encode_base64url, find_base64, find_base64url


@given(st.binary(max_size=100))
def test_what_is_encoded_is_found(data: bytes) -> None:
    assert find_base64(encode_base64(data)) == data
    assert find_base64url(encode_base64url(data)) == data


@given(st.text(alphabet="AQg=+/-_ \n", max_size=12))
def test_one_spelling_only(text: str) -> None:
    for find, encode in ((find_base64, encode_base64), (find_base64url, encode_base64url)):
        data = find(text)
        assert data is None or encode(data) == text


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA==\n", " AA==", "AA==AA==", "A-A=", "é", "AA\0="]
)
def test_refused(text: str) -> None:
    assert find_base64(text) is None


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "AA=", "A+A", "AA\n", "AAB", "é"])
def test_refused_url(text: str) -> None:
    assert find_base64url(text) is None
