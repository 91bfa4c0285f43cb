"""Published schemas: durable, chained, hashed whenever they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Corrupt, Invalid, NotFound
from dbx.formats.envelope import Actor
from dbx.repo.schema import published
from dbx.repo.schema.published import Draft
from dbx.store.fs import Directory

NOW = "2026-11-23T07:42:00.123456Z"


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(str(tmp_path))


def publish(directory: Directory, text: bytes, reason: str | None = None) -> Draft:
    made = published.draft(
        {"order": text}, parent=published.find_head(directory), actor=Actor("g", "u"), now=NOW, reason=reason
    )
    published.write(directory, made, what="publish")
    return made


def test_a_chain_of_versions(directory: Directory) -> None:
    assert published.find_head(directory) is None
    assert list(published.chain(directory)) == []
    first = publish(directory, b"a: 1\n")
    second = publish(directory, b"a: 2\n", "because")
    assert published.find_head(directory) == second.id
    assert [one.id for one in published.chain(directory)] == [second.id, first.id]
    assert second.version.parent == first.id
    assert published.read_files(directory, first.version) == {"order": b"a: 1\n"}
    assert published.read_files(directory, second.version) == {"order": b"a: 2\n"}
    assert published.moves(directory) == {first.id: "publish", second.id: "publish"}
    assert (Path(directory.path) / "refs/schemas/main").read_text() == f"{second.id}\n"


def test_a_version_is_named_by_the_beginning_of_its_id(directory: Directory) -> None:
    with pytest.raises(NotFound):
        published.get_version(directory, "active")
    first, second = publish(directory, b"a: 1\n"), publish(directory, b"a: 2\n")
    for spelled, wanted in (("active", second), ("latest", second), (first.id, first), (first.id[:12], first)):
        assert published.get_version(directory, spelled).id == wanted.id
    for spelled in ("abc", "x" * 64, "", "../../refs", "0" * 64):
        with pytest.raises((Invalid, NotFound)):
            published.get_version(directory, spelled)


@pytest.mark.parametrize("what", ["version", "object"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_named(directory: Directory, what: str, damage: str) -> None:
    made = publish(directory, b"a: 1\n")
    sha = made.id if what == "version" else made.version.schemas["order"]
    file = Path(directory.path) / f"schemas/{what}s/{sha}.yaml"
    if damage == "remove":
        file.unlink()
    else:
        data = file.read_bytes()
        file.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(Corrupt, match=sha):
        published.read_files(directory, published.read_version(directory, made.id))


@pytest.mark.parametrize("data", [b"", b"x\n", b"a" * 64, b"A" * 64 + b"\n", b"a" * 64 + b"\n\n"])
def test_a_damaged_ref_is_named(directory: Directory, data: bytes) -> None:
    directory.write(published.REF, data)
    with pytest.raises(Corrupt, match="refs/schemas/main"):
        published.find_head(directory)


def test_a_damaged_object_is_made_whole_by_publishing_it_again(directory: Directory) -> None:
    made = publish(directory, b"a: 1\n")
    file = f"{published.OBJECTS}/{made.version.schemas['order']}.yaml"
    directory.write(file, b"broken")
    publish(directory, b"a: 1\n")
    assert directory.read(file, 100) == b"a: 1\n"
