"""Encryption at rest, as a user meets it: what is sealed, what works without the key, what a wrong key says."""

from __future__ import annotations

import json
import os
import stat
import struct
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import Runner

CANARY = "kanari-7f3b9c"
WRONG = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def files(run: Runner) -> Iterator[Path]:
    return (path for path in sorted((run.cwd / ".dbx").rglob("*")) if path.is_file())


def plain_bytes(data: bytes) -> Iterator[bytes]:
    """The bytes themselves, and whatever in them is a zlib stream."""
    yield data
    at = data.find(b"x\x01")
    while at >= 0:
        stream = zlib.decompressobj()
        with suppress(zlib.error):
            yield stream.decompress(data[at:], 1 << 22)
        at = data.find(b"x\x01", at + 1)


def leaks(run: Runner) -> list[str]:
    return [
        str(path.relative_to(run.cwd))
        for path in files(run)
        if any(CANARY.encode() in data for data in plain_bytes(path.read_bytes()))
    ]


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


@pytest.fixture
def dek(shop: Runner) -> str:
    (dek,) = shop.ok("key", "generate", "--dek").lines
    return dek


@pytest.fixture
def sealed(shop: Runner, dek: str) -> Runner:
    """A workspace that seals, with some events; the DEK is not stored."""
    shop.ok("config", "--dek", "-", "--no-store", stdin=dek + "\n")
    env = {"DBX_DEK": dek}
    shop.ok("aggregate", "create", "order", "o-1", "--event", "order_placed", "--field", f"name={CANARY}", env=env)
    apply(shop, dek, "order", "o-1", "order_paid", f'{{"by":"{CANARY}"}}')
    return shop


def apply(run: Runner, dek: str, kind: str, name: str, event: str, payload: str, *more: str) -> None:
    run.ok("aggregate", "apply", kind, name, event, "--create", "--payload", payload, *more, env={"DBX_DEK": dek})


def lines(count: int) -> str:
    return "".join(
        json.dumps(
            {
                "aggregate_type": "part",
                "aggregate_id": f"p-{n % 7}",
                "event_type": "made",
                "payload": {"n": n, "text": f"{CANARY} {n}"},
                "metadata": {"@who": CANARY},
                "note": CANARY,
            }
        )
        + "\n"
        for n in range(count)
    )


def test_the_search_finds_what_is_plain(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines(300))
    assert ".dbx/domains/default/staging.jsonl" in leaks(shop)
    shop.ok("commit")
    assert any("journal" in name for name in leaks(shop))
    shop.ok("gc")
    assert any("segments" in name for name in leaks(shop))
    assert ".dbx/domains/default/index.db" in leaks(shop)


def test_nothing_lies_in_plain_after_any_command(sealed: Runner, dek: str) -> None:
    env = {"DBX_DEK": dek}
    assert leaks(sealed) == []
    patch = f'[{{"op":"add","path":"/x","value":"{CANARY}"}}]'
    commands: list[tuple[tuple[str, ...], str]] = [
        (("aggregate", "apply", "order", "o-1", "order_sent", "--stage", "--field", f"to={CANARY}"), ""),
        (("staged",), ""),
        (("aggregate", "apply", "--stage", "--from", "-"), lines(300)),
        (("fsck",), ""),
        (("commit", "-m", "all"), ""),
        (("aggregate", "list"), ""),
        (("aggregate", "list", "--filter", f'state.name = "{CANARY}"'), ""),
        (("aggregate", "patch", "order", "o-1", "order_changed", "--patch", patch), ""),
        (("snapshots", "create", "order", "o-1"), ""),
        (("snapshots", "verify"), ""),
        (("aggregate", "get", "order", "o-1", "--version", "1"), ""),
        (("gc",), ""),
        (("reindex",), ""),
        (("undo", "--yes"), ""),
        (("checkout", "-c", "copy", "--from", "default"), ""),
        (("aggregate", "apply", "order", "o-9", "order_placed", "--create", "--field", f"a={CANARY}"), ""),
        (("checkout", "default"), ""),
        (("key", "rotate", "--data"), ""),
        (("gc", "--reseal"), ""),
        (("fsck", "--all"), ""),
    ]
    for arguments, stdin in commands:
        done = sealed(*arguments, stdin=stdin, env=env)
        assert done.status in (0, 1), (arguments, done)
        assert leaks(sealed) == [], arguments
        assert CANARY not in done.stderr


def test_what_works_without_the_key(sealed: Runner, dek: str) -> None:
    env = {"DBX_DEK": dek}
    root = sealed.ok("root", env=env).stdout
    before = sealed.ok("aggregate", "get", "order", "o-1", "--json", env=env).json
    working: tuple[tuple[str, ...], ...] = (
        ("log",), ("log", "--stat"), ("root",), ("fsck",), ("status",), ("reflog",), ("domain", "list"), ("gc",),
        ("root", "export", "roots"), ("diff", "HEAD~1", "HEAD"), ("key", "list"), ("keyring", "list"),
        ("checkout", "-c", "fork", "--from", "default"), ("checkout", "default"), ("tag", "t1"),
    )  # fmt: skip
    for arguments in working:
        sealed.ok(*arguments)
    assert sealed.ok("root").stdout == root
    report = sealed.ok("fsck", "--json").json
    assert json.dumps(report).count('"sealed": 2') or json.dumps(report).count('"sealed":2')
    needing: list[tuple[str, ...]] = [
        ("aggregate", "get", "order", "o-1"),
        ("aggregate", "list"),
        ("aggregate", "apply", "order", "o-1", "order_paid"),
        ("aggregate", "apply", "order", "o-1", "order_paid", "--stage"),
        ("events",),
        ("snapshots", "create", "order", "o-1"),
        ("gc", "--reseal"),
        ("reindex",),
        ("key", "rotate", "--data"),
    ]
    for arguments in needing:
        refused = sealed(*arguments, "--json")
        assert (refused.status, refused.error["type"]) == (10, "key"), arguments
        assert "DBX_DEK" in refused.error["hint"], arguments
    assert sealed.ok("root").stdout == root
    assert sealed.ok("aggregate", "get", "order", "o-1", "--json", env=env).json == before
    sealed.ok("fsck", "--all", env=env)


def test_an_index_that_lags_is_left_to_who_has_the_key(sealed: Runner, dek: str) -> None:
    root = sealed.ok("root").stdout
    for name in ("index.db", "index.db-wal", "index.db-shm"):
        (sealed.cwd / ".dbx/domains/default" / name).unlink(missing_ok=True)
    assert sealed.ok("root").stdout == root
    assert sealed("aggregate", "get", "order", "o-1").status == 10
    got = sealed.ok("aggregate", "get", "order", "o-1", "--json", env={"DBX_DEK": dek}).json
    assert got["state"] == {"name": CANARY, "by": CANARY}


def test_a_wrong_key_is_no_damage(sealed: Runner) -> None:
    for arguments in (("aggregate", "get", "order", "o-1"), ("fsck",), ("aggregate", "apply", "order", "o-1", "paid")):
        refused = sealed(*arguments, "--json", env={"DBX_DEK": WRONG})
        assert (refused.status, refused.error["type"]) == (10, "key"), arguments
        assert WRONG not in refused.stderr
    assert sealed("config", "--dek", WRONG).status == 10
    for bad in ("x", "AAAA", WRONG + "=", WRONG[:-1]):
        refused = sealed("aggregate", "get", "order", "o-1", env={"DBX_DEK": bad})
        assert refused.status == 5
        assert bad not in refused.stderr or len(bad) < 5


def test_where_the_key_may_come_from(sealed: Runner, dek: str, tmp_path: Path) -> None:
    file = tmp_path / "dek.txt"
    file.write_text(dek + "\n")
    get = ("aggregate", "get", "order", "o-1")
    sealed.ok(*get, env={"DBX_DEK_FILE": str(file)})
    sealed.ok(*get, env={"DBX_DEK_COMMAND": f"cat '{file}'"})
    assert sealed(*get, env={"DBX_DEK_COMMAND": "false"}).status == 10
    assert sealed(*get, env={"DBX_DEK_COMMAND": "/nonexistent/program"}).status == 10
    assert sealed(*get, env={"DBX_DEK_COMMAND": "cat '"}).status == 10
    assert sealed(*get, env={"DBX_DEK_COMMAND": f"echo {CANARY}"}).status == 5
    sealed.ok("config", "--dek-file", str(file))
    sealed.ok(*get)
    stored = sealed.cwd / ".dbx/keys/dek"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert dek not in sealed.ok("config").stdout
    os.chmod(stored, 0o640)
    assert sealed(*get).status == 10
    os.chmod(stored, 0o600)
    sealed.ok("config", "--no-store", env={"DBX_DEK": dek})
    assert not stored.exists()


def test_a_dek_is_made_anywhere(run: Runner) -> None:
    (dek,) = run.ok("key", "generate", "--dek").lines
    assert len(b64decode(dek)) == 32
    assert run.ok("key", "generate", "--dek", "--json").json["dek"] != dek


def test_bad_usage(shop: Runner, dek: str) -> None:
    assert shop("config", "--dek", "short").status == 5
    assert shop("config", "--no-store").status == 2
    assert shop("config", "--dek", dek, "--list").status == 2
    assert shop("config", "--dek", dek, "user.name", "ann").status == 2
    assert shop("config", "--dek", dek, "--dek-file", "x").status == 2
    assert shop("gc", "--reseal").status == 4
    assert shop("gc", "--reseal", "--dry-run").status == 2
    assert shop("key", "rotate", "--data").status == 3
    assert shop("key", "rotate", "--dek").status in (2, 3)
    assert shop("key", "rotate", "--dek", "--data").status == 2
    assert shop("keyring", "export", "k").status == 2
    assert shop("keyring", "export", "k", env={"DBX_PASSPHRASE": "p"}).status == 3
    assert shop("keyring", "import", "-", env={"DBX_PASSPHRASE": "p"}, stdin="{}").status == 5
    assert not (shop.cwd / ".dbx/keys/dek").exists()
    assert shop.ok("keyring", "list").stdout == "nothing is sealed\n"


def test_what_was_plain_is_sealed_by_gc(shop: Runner, dek: str) -> None:
    shop.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines(200))
    shop.ok("commit")
    shop.ok("gc")
    shop.ok("aggregate", "apply", "order", "o-1", "order_placed", "--create", "--field", f"x={CANARY}")
    shop.ok("snapshots", "create", "part", "p-1")
    shop.ok("aggregate", "apply", "order", "o-1", "order_sent", "--stage", "--field", f"x={CANARY}")
    state = shop.ok("aggregate", "get", "part", "p-1", "--json").json
    root = shop.ok("root").stdout
    torn = shop.cwd / ".dbx/domains/default/journal.torn-20260101T000000000000Z"
    torn.write_bytes(CANARY.encode())
    shop.ok("config", "--dek", dek)
    assert leaks(shop)
    done = shop.ok("gc", "--reseal", "--json").json
    assert (done["segments"] > 0, done["staged"], done["snapshots"], done["reindexed"]) == (True, 1, 1, True)
    assert leaks(shop) == []
    assert shop.ok("root").stdout == root
    assert shop.ok("aggregate", "get", "part", "p-1", "--json").json == state
    shop.ok("snapshots", "verify")
    shop.ok("fsck")
    shop.ok("commit")
    assert shop.ok("aggregate", "get", "order", "o-1", "--json").json["version"] == 2
    again = shop.ok("gc", "--reseal", "--json").json
    assert (again["segments"], again["staged"], again["reindexed"]) == (0, 0, False)


def test_a_new_dek_and_a_new_data_key(sealed: Runner, dek: str) -> None:
    env = {"DBX_DEK": dek}
    segments = sorted(path.name for path in files(sealed) if path.suffix == ".seg")
    assert sealed("key", "rotate", "--dek", env=env).status == 2  # it would be stored nowhere
    (new,) = sealed.ok("key", "generate", "--dek").lines
    sealed.ok("key", "rotate", "--dek", "-", env=env, stdin=new + "\n")
    assert sorted(path.name for path in files(sealed) if path.suffix == ".seg") == segments
    assert sealed("aggregate", "get", "order", "o-1", env=env).status == 10
    env = {"DBX_DEK": new}
    sealed.ok("aggregate", "get", "order", "o-1", env=env)
    sealed.ok("key", "rotate", "--data", env=env)
    assert [key["current"] for key in sealed.ok("keyring", "list", "--json").json] == [False, True]
    apply(sealed, new, "order", "o-2", "order_placed", f'{{"a":"{CANARY}"}}')
    sealed.ok("fsck", env=env)
    sealed.ok("gc", "--reseal", env=env)
    sealed.ok("fsck", env=env)
    assert leaks(sealed) == []
    sealed.ok("config", "--dek-file", "/dev/stdin", stdin=new)
    sealed.ok("key", "rotate", "--dek")
    sealed.ok("aggregate", "get", "order", "o-2")
    assert sealed("aggregate", "get", "order", "o-2", env=env).status == 10


def test_bytes_that_were_changed_or_moved_are_damage(sealed: Runner, dek: str) -> None:
    env = {"DBX_DEK": dek}
    journal = next(path for path in files(sealed) if path.name.startswith("journal-"))
    good = journal.read_bytes()
    frames = []
    at = 8
    while at + 16 <= len(good) and good[at : at + 1].strip(b"\0"):
        size = struct.unpack(">I", good[at + 4 : at + 8])[0]
        frames.append((good[at : at + 1], at, size))
        at += 16 + size
    bodies = [(start, size) for kind, start, size in frames if kind == b"B"]
    assert len(bodies) == 2

    def refused(data: bytes) -> None:
        journal.write_bytes(data)
        for name in ("index.db", "index.db-wal", "index.db-shm"):
            journal.with_name(name).unlink(missing_ok=True)
        assert sealed("aggregate", "get", "order", "o-1", env=env).status == 7
        assert sealed("fsck", env=env).status == 7
        journal.write_bytes(good)

    def with_bodies(start: int, stored: bytes) -> bytes:
        header = good[start : start + 12]
        crc = zlib.crc32(stored, zlib.crc32(start.to_bytes(8, "big") + header))
        return good[:start] + header + crc.to_bytes(4, "big") + stored + good[start + 16 + len(stored) :]

    start, size = bodies[0]
    stored = good[start + 16 : start + 16 + size]
    for flipped in (9, 25, size - 1):
        changed = stored[:flipped] + bytes([stored[flipped] ^ 4]) + stored[flipped + 1 :]
        refused(with_bodies(start, changed))
        refused(good[: start + 16] + changed + good[start + 16 + size :])
    sealed.ok("fsck", env=env)
    sealed.ok("reindex", env=env)
    # Two blocks of the same length that change places.
    for n in range(2):
        apply(sealed, dek, "x", f"x-{n}", "made", '{"a":1}')
    good = journal.read_bytes()
    frames, at = [], 8
    while at + 16 <= len(good) and good[at : at + 1].strip(b"\0"):
        size = struct.unpack(">I", good[at + 4 : at + 8])[0]
        frames.append((good[at : at + 1], at, size))
        at += 16 + size
    (one, size), (two, other) = [(start, size) for kind, start, size in frames if kind == b"B"][-2:]
    assert size == other
    moved = with_bodies(one, good[two + 16 : two + 16 + size])
    refused(moved)


def test_sharing_a_keyring(sealed: Runner, dek: str, tmp_path: Path) -> None:
    word = {"DBX_PASSPHRASE": "correct horse"}
    out = tmp_path / "keys.json"
    assert sealed("keyring", "export", str(out), env=word).status == 10
    sealed.ok("keyring", "export", str(out), env={**word, "DBX_DEK": dek})
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert dek not in out.read_text()
    replica = tmp_path / "replica"
    replica.mkdir()
    sealed.ok("init", cwd=replica)
    assert sealed("keyring", "import", str(out), cwd=replica, env={"DBX_PASSPHRASE": "wrong"}).status == 10
    done = sealed.ok("keyring", "import", str(out), "--json", cwd=replica, env=word)
    assert done.json == {"imported": 1}
    mine, theirs = (sealed.ok("keyring", "list", "--json", cwd=at).json for at in (sealed.cwd, replica))
    assert mine == theirs
