"""An independent reader of single lines and files of the format: the small half of tests/reader.py.

Written from dbx-format(5) alone, with the standard library, sharing no code with dbx. Whatever deviates raises an
AssertionError, or whatever Python raises.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HASH = "[0-9a-f]{64}"
INTEGER = "(?:0|[1-9][0-9]{0,15})"
LARGEST = 2**53 - 1


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tree(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, over leaf hashes."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01" + tree(leaves[:k]) + tree(leaves[k:]))


def canonical(line: bytes) -> Any:
    """One line of canonical JSON (RFC 8785)."""
    written = json.loads(line, parse_float=lambda literal: f"\0{literal}", parse_constant=_refuse)
    text = json.dumps(_ordered(written), separators=(",", ":"), ensure_ascii=False)
    for literal in re.findall(r'"\\u0000([-0-9.e+]+)"', text):
        text = text.replace(f'"\\u0000{literal}"', literal)
        digits, _, exponent = repr(float(literal)).partition("e")
        if exponent:  # ECMA-262 Number::toString: no leading zero, and decimals from 1e-6 on
            expected = f"{digits}e{exponent[0]}{exponent[1:].lstrip('0')}"
            expected = f"{float(literal):.20f}".rstrip("0") if 1e-6 <= abs(float(literal)) < 1e-4 else expected
        else:
            expected = digits.removesuffix(".0")
        assert literal == expected, literal
    assert text.encode() == line, line
    assert text.isascii() or not any(ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF for char in text)
    value = json.loads(line)
    _bounded(value)
    return value


def _ordered(value: Any) -> Any:
    """Keys in the order of their UTF-16 code units (RFC 8785 §3.2.3)."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def _refuse(literal: str) -> None:
    raise AssertionError(literal)


def _bounded(value: Any) -> None:
    """Integers that every reader of JSON holds exactly."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _bounded(one)
    elif isinstance(value, int):
        assert abs(value) <= LARGEST


def depth(value: Any) -> int:
    """How deep objects and arrays nest; `{}` is 1."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def check_time(text: str) -> None:
    """One spelling, and a moment that exists."""
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z", text)
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - it only has to be one


def check_actor(actor: dict[str, Any], members: set[str]) -> None:
    """Group and user, and a token where there may be one: texts of 1 to 128 characters without control characters."""
    assert {"group", "user"} <= set(actor) <= members
    for text in actor.values():
        assert 1 <= len(text) <= 128
        assert not re.search("[\0-\x1f\x7f-\x9f]", text)


def lines(raw: bytes) -> list[bytes]:
    assert raw.endswith(b"\n")
    return raw[:-1].split(b"\n")


def ref_of(data: bytes) -> tuple[str, int, str]:
    """(commit, seq, manifest) of refs/heads/main."""
    found = re.fullmatch(f"commit ({HASH}) ({INTEGER})\nmanifest ({HASH})\n", data.decode())
    assert found
    assert int(found[2]) <= LARGEST
    return found[1], int(found[2]), found[3]


def tag_of(data: bytes) -> tuple[str, int]:
    """(commit, seq) of a tag that is not a checkpoint."""
    found = re.fullmatch(f"commit ({HASH}) ({INTEGER})\n", data.decode())
    assert found
    return found[1], int(found[2])


def manifest_of(data: bytes) -> list[tuple[str, int, int, int, str]]:
    """Per segment (sha256, bytes, first seq, last seq, last commit), in the order of the log."""
    entries: list[tuple[str, int, int, int, str]] = []
    for line in lines(data):
        found = re.fullmatch(f"({HASH}) ({INTEGER}) ({INTEGER}) ({INTEGER}) ({HASH})", line.decode())
        assert found
        size, first, last = (int(found[n]) for n in (2, 3, 4))
        assert size > 0
        assert first == (entries[-1][3] + 1 if entries else 0)
        assert last >= first
        entries.append((found[1], size, first, last, found[5]))
    for column in (0, 4):
        assert len({entry[column] for entry in entries}) == len(entries)
    return entries


def commit_of(line: bytes) -> dict[str, Any]:
    """A commit by itself."""
    commit: dict[str, Any] = canonical(line)
    members = "actor batch count domain events index message parent position schema seq time v"
    assert sorted(commit) == members.split()
    assert commit["v"] == 1
    assert len(line) <= 65535
    assert UUID.fullmatch(commit["domain"])
    assert commit["batch"] is None or UUID.fullmatch(commit["batch"])
    for name in ("events", "index", "parent", "schema"):
        assert (commit[name] is None and name in ("parent", "schema")) or re.fullmatch(HASH, commit[name])
    for name, least in (("count", 1), ("seq", 0), ("position", commit["seq"])):
        assert type(commit[name]) is int
        assert commit[name] >= least
    assert (commit["parent"] is None) == (commit["seq"] == 0)
    assert commit["seq"] or not commit["position"]
    if commit["actor"] is not None:
        check_actor(commit["actor"], {"group", "token", "user"})
    assert commit["message"] is None or len(commit["message"].encode()) <= 32 * 1024
    check_time(commit["time"])
    return commit


def envelope_of(line: bytes) -> dict[str, Any]:
    """An envelope by itself."""
    envelope: dict[str, Any] = canonical(line)
    members = ["aggregate_id", "aggregate_type", "body", "created_at", "event_id", "event_type", "version"]
    assert sorted(set(envelope) - {"issued_by"}) == members
    assert re.fullmatch("[a-z][a-z0-9_]{0,63}", envelope["aggregate_type"])
    assert re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127}", envelope["aggregate_id"])
    assert re.fullmatch("[a-z][a-z0-9_]{0,127}", envelope["event_type"])
    assert re.fullmatch(HASH, envelope["body"])
    check_time(envelope["created_at"])
    assert re.fullmatch("0|[1-9][0-9]*", envelope["event_id"])
    assert int(envelope["event_id"]) < 2**63
    assert type(envelope["version"]) is int
    assert envelope["version"] >= 1
    if "issued_by" in envelope:
        check_actor(envelope["issued_by"], {"group", "user"})
    assert len(line) <= 64 * 1024
    return envelope


def body_of(line: bytes) -> dict[str, Any]:
    """A body by itself."""
    body: dict[str, Any] = canonical(line)
    assert {"payload", "salt"} <= set(body) <= {"metadata", "note", "payload", "salt"}
    assert isinstance(body["payload"], dict)
    assert depth(body["payload"]) <= 64
    assert re.fullmatch("[A-Za-z0-9_-]{16}", body["salt"])
    assert isinstance(body.get("metadata", {}), dict)
    assert body.get("metadata", True)
    if "note" in body:
        assert 1 <= len(body["note"]) <= 128
    for name, most in (("payload", 256), ("metadata", 64)):
        text = json.dumps(body.get(name), separators=(",", ":"), ensure_ascii=False)
        assert len(text.encode()) <= most * 1024
    assert len(line) <= 2 * 1024 * 1024
    return body
