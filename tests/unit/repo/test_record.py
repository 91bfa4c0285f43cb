"""What is laid on a record one by one is what folding one by one makes, whenever it is settled or told on."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dbx.formats import canonical
from dbx.repo.record import Record, shape_of

VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [0, -1, 1.5, 1e21, 5e-7, True, None, "", '","a":"', "ä", {}, [], {"a": {"b": [{}]}}]
)
PAYLOADS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", 'q"', "ü"]), VALUES, max_size=4), max_size=40)


def lay(record: Record, payload: dict[str, Any]) -> None:
    record.lay(shape_of(payload), canonical.encode_text(payload))
    record.lay_metadata(shape_of(payload), canonical.encode_text(payload))


@given(PAYLOADS, PAYLOADS, PAYLOADS, st.booleans())
def test_layers_are_folded_as_if_one_by_one(
    before: list[dict[str, Any]], first: list[dict[str, Any]], then: list[dict[str, Any]], settle: bool
) -> None:
    record, expected = Record("order", "o-1"), dict[str, Any]()
    for payload in first:
        lay(record, payload)
        expected.update(payload)
    if settle:
        assert record.settle() == (canonical.encode(expected), canonical.encode(expected))
    for payload in then:
        lay(record, payload)
        expected.update(payload)
    told = Record("order", "o-1")
    for payload in before:
        lay(told, payload)
    state, extensions = record.merged()
    if state[1]:
        told.lay(*state)
    if extensions[1]:
        told.lay_metadata(*extensions)
    told_whole = {key: value for payload in before for key, value in payload.items()} | expected
    whole = canonical.encode(expected)
    assert record.settle() == record.settle() == (whole, whole)
    assert told.settle() == (canonical.encode(told_whole), canonical.encode(told_whole))
    assert (told.state, told.extensions) == (told_whole, told_whole)
    assert (record.state, record.extensions) == (expected, expected)


def test_the_shape_says_the_keys_and_nothing_else() -> None:
    assert shape_of({"a": 1, "b": 2}) == shape_of(["a", "b"]) != shape_of(["b", "a"])
    assert shape_of(("a,b",)) != shape_of(("a", "b")) != shape_of(('a","b',))
