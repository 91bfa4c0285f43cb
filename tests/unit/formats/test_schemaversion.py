"""Versions of schemas: one spelling, named by its hash."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats import yamltext
from dbx.formats.envelope import Actor
from dbx.formats.schemaversion import SchemaVersion, decode_version, encode_version, id_of

FIRST = SchemaVersion(
    Actor("ops", "jane"), ("v1", "good"), None, "2026-11-23T07:42:00.123456Z", "first", {"order": "a" * 64}
)


def test_the_bytes_are_canonical_json_and_yaml_with_exactly_these_members() -> None:
    data = encode_version(FIRST)
    value = {
        "actor": {"group": "ops", "user": "jane"},
        "labels": ["v1", "good"],
        "parent": None,
        "published_at": "2026-11-23T07:42:00.123456Z",
        "reason": "first",
        "schemas": {"order": "a" * 64},
    }
    assert data == json.dumps(value, separators=(",", ":")).encode()
    assert yamltext.load(data, name="v") == value
    assert id_of(data) == sha256(data).hexdigest()


@pytest.mark.parametrize(
    "version", [FIRST, FIRST._replace(actor=None, reason=None, labels=(), parent="b" * 64, schemas={})]
)
def test_a_version_comes_back(version: SchemaVersion) -> None:
    assert decode_version(encode_version(version)) == version
    assert decode_version(encode_version(version) + b"\n") == version


@pytest.mark.parametrize(
    "change",
    [
        {"parent": "b"},
        {"parent": 1},
        {"labels": "v1"},
        {"labels": [""]},
        {"labels": ["a\nb"]},
        {"labels": ["x"] * 33},
        {"labels": [1]},
        {"reason": ""},
        {"reason": "two\nlines"},
        {"reason": "x" * 1001},
        {"published_at": "2026-11-23"},
        {"published_at": None},
        {"actor": "jane"},
        {"actor": {"group": "ops"}},
        {"actor": {"group": "ops", "user": ""}},
        {"schemas": []},
        {"schemas": {"Order": "a" * 64}},
        {"schemas": {"order": "A" * 64}},
        {"schemas": {"order": None}},
        {"more": 1},
    ],
)
def test_what_a_version_may_not_be(change: dict[str, Any]) -> None:
    value = json.loads(encode_version(FIRST)) | change
    with pytest.raises(Corrupt):
        decode_version(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", encode_version(FIRST)[:-1], encode_version(FIRST) + b" "])
def test_other_bytes_are_no_version(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_version(data)


@pytest.mark.parametrize("change", [{"reason": "two\nlines"}, {"labels": ("",)}, {"actor": Actor("", "x")}])
def test_what_may_not_be_stored_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        encode_version(FIRST._replace(**change))
