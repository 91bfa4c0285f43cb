"""dbx/model/jsonpatch.py: against the published tests of RFC 6902, and what an event must hold."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.model.jsonpatch import MAX_OPERATIONS, OPERATIONS, apply_patch, parse_pointer, patched_payload
from tests.vectors import shared

VECTORS = shared("vectors/json-patch-tests")
CASES = [
    case
    for name in ("tests.json", "spec_tests.json")
    for case in json.loads((VECTORS / name).read_text())
    if "doc" in case and not case.get("disabled")
]
OURS = [case for case in CASES if all(op.get("op") in OPERATIONS for op in case["patch"])]
FOREIGN = [case for case in CASES if any(op.get("op") in ("test", "move", "copy") for op in case["patch"])]


def name_of(case: dict[str, Any]) -> str:
    return str(case.get("comment") or json.dumps(case["patch"]))[:60]


def test_there_are_vectors() -> None:
    assert len(OURS) > 40
    assert len(FOREIGN) > 20


@pytest.mark.parametrize("case", OURS, ids=name_of)
def test_published_vectors(case: dict[str, Any]) -> None:
    if "expected" in case:
        assert apply_patch(copy.deepcopy(case["doc"]), case["patch"]) == case["expected"]
    elif "error" in case:
        with pytest.raises(Invalid):
            apply_patch(copy.deepcopy(case["doc"]), case["patch"])
    else:
        apply_patch(copy.deepcopy(case["doc"]), case["patch"])


@pytest.mark.parametrize("case", FOREIGN, ids=name_of)
def test_other_operations_are_refused_by_name(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        apply_patch(copy.deepcopy(case["doc"]), case["patch"])
    for foreign in ("test", "move", "copy"):
        with pytest.raises(Invalid, match=f"operation 1: unsupported patch operation '{foreign}'"):
            apply_patch({}, [{"op": foreign}])


@pytest.mark.parametrize("case", [c for c in OURS if "expected" in c and isinstance(c["doc"], dict)], ids=name_of)
def test_merging_the_payload_gives_the_patched_document(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["doc"])
    try:
        payload = patched_payload(case["doc"], case["patch"])
    except Invalid as error:
        gone = isinstance(case["expected"], dict) and case["doc"].keys() - case["expected"].keys()
        assert gone or "whole state" in error.message  # noqa: PT017 - either outcome is right
    else:
        assert {**case["doc"], **payload} == case["expected"]
    assert case["doc"] == before


STATE = {"status": "open", "to": {"city": "Bern", "zip": "3000"}, "lines": [{"n": 1}], "a/b": 1, "c~d": 2}


@pytest.mark.parametrize(
    ("patch", "payload"),
    [
        ([], {}),
        ([{"op": "replace", "path": "/status", "value": None}], {"status": None}),
        ([{"op": "add", "path": "/new", "value": {"x": 1}}], {"new": {"x": 1}}),
        ([{"op": "remove", "path": "/to/zip"}], {"to": {"city": "Bern"}}),
        ([{"op": "add", "path": "/lines/-", "value": 2}], {"lines": [{"n": 1}, 2]}),
        ([{"op": "add", "path": "/lines/0", "value": 2}], {"lines": [2, {"n": 1}]}),
        ([{"op": "replace", "path": "/lines/0/n", "value": 9}], {"lines": [{"n": 9}]}),
        ([{"op": "replace", "path": "/a~1b", "value": 9}], {"a/b": 9}),
        ([{"op": "replace", "path": "/c~0d", "value": 9}], {"c~d": 9}),
        (
            [{"op": "add", "path": "/x", "value": {}}, {"op": "add", "path": "/x/y", "value": 1}],
            {"x": {"y": 1}},
        ),
        ([{"op": "add", "path": "/x", "value": 1}, {"op": "remove", "path": "/x"}], {}),
        ([{"op": "remove", "path": "/status"}, {"op": "add", "path": "/status", "value": 1}], {"status": 1}),
        ([{"op": "add", "path": "/", "value": 1}], {"": 1}),
    ],
)
def test_payloads(patch: list[Any], payload: dict[str, Any]) -> None:
    before = copy.deepcopy(STATE)
    assert patched_payload(STATE, patch) == payload
    assert before == STATE


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ({}, "the patch must be an array of operations"),
        ("x", "the patch must be an array of operations"),
        ([5], "operation 1: it must be an object"),
        ([{}], "operation 1: member 'op' is missing"),
        ([{"op": 5}], "operation 1: member 'op' must be text"),
        ([{"op": "Add"}], "operation 1: unsupported patch operation 'Add'"),
        ([{"op": "add", "value": 1}], "operation 1: member 'path' is missing"),
        ([{"op": "add", "path": "/a"}], "operation 1: member 'value' is missing"),
        ([{"op": "add", "path": "a", "value": 1}], "operation 1: path 'a' must begin with '/'"),
        ([{"op": "add", "path": 5, "value": 1}], "operation 1: the path must be text"),
        ([{"op": "add", "path": "/a~2", "value": 1}], "operation 1: path '/a~2' has a '~'"),
        ([{"op": "add", "path": "", "value": {}}], "operation 1: the whole state cannot be patched"),
        ([{"op": "replace", "path": "/none", "value": 1}], "operation 1: path '/none' leads nowhere"),
        ([{"op": "remove", "path": "/to/none"}], "operation 1: path '/to/none' leads nowhere"),
        ([{"op": "add", "path": "/none/x", "value": 1}], "operation 1: path '/none/x' leads nowhere"),
        ([{"op": "add", "path": "/status/x", "value": 1}], "operation 1: path '/status/x' leads nowhere"),
        ([{"op": "replace", "path": "/lines/1", "value": 1}], "leads beyond the end of an array"),
        ([{"op": "add", "path": "/lines/2", "value": 1}], "leads beyond the end of an array"),
        ([{"op": "remove", "path": "/lines/-"}], "'-' is no index"),
        ([{"op": "add", "path": "/lines/01", "value": 1}], "'01' is no index"),
        ([{"op": "add", "path": "/lines/" + "9" * 5000, "value": 1}], "is no index"),
        ([{"op": "remove", "path": "/status"}], "patch removed key 'status' and removals are not supported"),
        ([{"op": "add", "path": "/x", "value": 1}] * (MAX_OPERATIONS + 1), f"at most {MAX_OPERATIONS} are allowed"),
        (
            [{"op": "add", "path": "/x", "value": 1}, {"op": "remove", "path": "/y"}],
            "operation 2: path '/y' leads nowhere",
        ),
    ],
)
def test_faults(patch: Any, says: str) -> None:
    before = copy.deepcopy(STATE)
    with pytest.raises(Invalid) as caught:
        patched_payload(STATE, patch)
    assert says in caught.value.message
    assert before == STATE


def test_the_whole_document_is_not_removed() -> None:
    with pytest.raises(Invalid, match="cannot be removed"):
        apply_patch({}, [{"op": "remove", "path": ""}])
    assert parse_pointer("") == ()
