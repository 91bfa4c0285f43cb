"""keyring.yaml and exported keyrings: one spelling is written, any YAML of the same is read, the rest is damage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats import yamltext
from dbx.formats.keyring import (
    ExportedKeyring,
    Keyring,
    WrappedKey,
    decode_export,
    decode_keyring,
    encode_export,
    encode_keyring,
)

SINCE = "2026-11-23T07:42:00.123456Z"
KEYRING = Keyring(
    b"\x11" * 8, (WrappedKey(b"\x01" * 8, SINCE, bytes(range(60))), WrappedKey(b"1e200000", SINCE, b"\xff" * 60))
)


def test_what_is_written_is_read() -> None:
    data = encode_keyring(KEYRING)
    assert decode_keyring(data, "keyring.yaml") == KEYRING
    value = yamltext.load(data, name="keyring.yaml")
    assert value["check"] == "11" * 8
    assert set(value["keys"][0]) == {"id", "created_at", "wrapped"}
    assert [key["id"] for key in value["keys"]] == ["01" * 8, b"1e200000".hex()]


def test_any_spelling_in_yaml_is_read() -> None:
    data = b"# by hand\n" + encode_keyring(KEYRING).replace(b"- id", b"-   id").replace(b"\n  ", b"\n    ")
    assert decode_keyring(data, "keyring.yaml") == KEYRING


def test_damage_is_corrupt() -> None:
    good = encode_keyring(KEYRING)
    for bad in (
        b"",
        b"\xff\xfe",
        b"keys: [",
        b"check: 1\nkeys: []\n",
        good.replace(b"check:", b"chuck:"),
        good.replace(b"'0101", b"'x101"),
        good.replace(b"wrapped: AAEC", b"wrapped: !AEC"),
        good.replace(b"wrapped: AAEC", b"wrapped: "),
        good.replace(b"2026-11-23", b"2026-11-2x"),
        good.replace(b"31653230", b"01010101").replace(b"30303030'", b"01010101'"),
        good + b"more: 1\n",
    ):
        with pytest.raises(Corrupt):
            decode_keyring(bad, "keyring.yaml")


def test_an_export() -> None:
    export = ExportedKeyring(b"s" * 16, 1 << 15, 8, 1, KEYRING)
    assert decode_export(encode_export(export)) == export
    value = json.loads(encode_export(export))
    changes: list[tuple[str, Any]] = [
        ("format", "dbx-keyring/2"),
        ("keys", 1),
        ("scrypt", {}),
        ("check", "x"),
        ("more", 1),
    ]
    for name, bad in changes:
        with pytest.raises(Invalid):
            decode_export(json.dumps({**value, name: bad}).encode())
    changes = [("n", "8"), ("salt", "!"), ("salt", 5), ("p", 1.5)]
    for name, bad in changes:
        with pytest.raises(Invalid):
            decode_export(json.dumps({**value, "scrypt": {**value["scrypt"], name: bad}}).encode())
    for data in (b"", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(Invalid):
            decode_export(data)
