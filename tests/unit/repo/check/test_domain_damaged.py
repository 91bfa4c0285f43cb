"""Whatever file is flipped, cut, zeroed, deleted or swapped: it is damage, and the file is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.repo.check.build import check, codes, copy, fill, only

ROOT_FILES = ("HEAD", "domain.yaml", "staging.jsonl", "refs/heads/main", "refs/tags/v1", "logs/refs/heads/main")
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "flip first": lambda data: bytes([data[0] ^ 0x10]) + data[1:],
    "flip middle": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0x10]) + data[len(data) // 2 + 1 :]
    ),
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zero": lambda data: bytes(len(data)),
    "zero the middle": lambda data: data[: len(data) // 3] + bytes(len(data) // 3) + data[2 * (len(data) // 3) :],
    "more": lambda data: data + b"x",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = fill(tmp_path_factory.mktemp("whole"))
    report = check(path)
    assert report.clean, report.findings
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return copy(whole, tmp_path / "copy")


def files(path: Path) -> list[Path]:
    """One of every kind, the segments and manifests that the ref names among them."""
    manifest = path / "manifests" / (path / "refs/heads/main").read_text().split()[-1]
    segments = [path / "segments" / f"{line.split()[0]}.seg" for line in manifest.read_text().splitlines()]
    return [*segments, manifest, only(path, "journal-*"), *(path / name for name in ROOT_FILES)]


def names(path: Path, file: Path) -> set[str]:
    return {str(file.relative_to(path)), file.name}


@pytest.mark.parametrize("way", WAYS)
def test_any_file_spoilt(path: Path, way: str) -> None:
    for file in files(path):
        data = file.read_bytes()
        file.write_bytes(WAYS[way](data))
        report = check(path)
        file.write_bytes(data)
        if is_harmless(file, way):
            assert report.findings, (file, way)
        else:
            told = [f for f in report.findings if f.severity == "error"]
            assert told, (file, way, report.findings)
            assert any(f.file in names(path, file) or file.name in f.message for f in told), (file, way, told)
    assert check(path).clean


def is_harmless(file: Path, way: str) -> bool:
    """Whether an interruption may leave the file so. The reflog is evidence that is not synced."""
    if "logs" in file.parts:
        return way != "flip first"
    return way == "more" and file.name.startswith(("journal-", "staging"))


@pytest.mark.parametrize("quick", [False, True])
def test_any_file_deleted(path: Path, quick: bool) -> None:
    for file in files(path):
        if file.name in ("v1", "staging.jsonl"):
            continue  # as 'dbx tag --delete' and 'dbx reset' would
        data = file.read_bytes()
        file.unlink()
        report = check(path, quick=quick)
        file.write_bytes(data)
        told = [f for f in report.findings if f.severity != "note"]
        assert told, file
        if "logs" in file.parts:
            assert report.clean
            continue
        assert any(f.file in names(path, file) or file.name in f.message for f in told), (file, told)
    assert check(path, quick=quick).clean


@pytest.mark.parametrize("pattern", ["segments/*.seg", "manifests/*"])
@pytest.mark.parametrize("quick", [False, True])
def test_two_files_swapped(path: Path, pattern: str, quick: bool) -> None:
    first, second = sorted(path.glob(pattern))[:2]
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    report = check(path, quick=quick)
    assert not report.clean
    damaged = {f.file for f in report.findings if f.severity == "error"}
    assert {str(first.relative_to(path)), str(second.relative_to(path))} <= damaged


@pytest.mark.parametrize("pattern", ["segments/*.seg", "journal-*"])
def test_every_byte_of_the_history(tmp_path: Path, pattern: str) -> None:
    path = fill(tmp_path / "small", sealed="seg" in pattern, journal="seg" not in pattern, staged=False)
    file = min(path.glob(pattern), key=lambda found: found.stat().st_size)
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        report = check(path)
        assert not report.clean, at
    file.write_bytes(data)
    assert check(path).clean


@pytest.mark.parametrize("quick", [False, True])
def test_a_history_that_was_cut_off(path: Path, quick: bool) -> None:
    """Without the journal everything that is left fits together: the index and the reflog know better."""
    only(path, "journal-*").unlink()
    assert codes(check(path, quick=quick)) == {"index.ahead", "reflog.ahead", "journal.missing"}
    for file in path.glob("index.db*"):
        file.unlink()
    assert codes(check(path, quick=quick)) == {"reflog.ahead"}


def test_an_older_ref(path: Path, whole: Path) -> None:
    older = next(f for f in path.glob("manifests/*") if len(f.read_text().splitlines()) == 1)
    _, _, _, seq, commit = older.read_text().split()
    (path / "refs/heads/main").write_text(f"commit {commit} {seq}\nmanifest {older.name}\n")
    assert {"index.ahead", "reflog.ahead", "journal.ahead"} <= codes(check(path))


def test_links_and_directories_are_refused(path: Path, tmp_path: Path) -> None:
    for file in files(path):
        moved = tmp_path / "moved"
        shutil.move(file, moved)
        for linked in (True, False):
            if linked:
                file.symlink_to(moved)
            else:
                file.mkdir()
            told = [f for f in check(path).findings if f.severity != "note"]
            assert any(f.file in names(path, file) or file.name in f.message for f in told), (file, told)
            file.unlink() if file.is_symlink() else file.rmdir()
        shutil.move(moved, file)
    assert check(path).clean


@pytest.mark.parametrize(
    "name", ["segments/.tmp-1-abc", "manifests/.tmp-1-abc", ".tmp-99-x", "segments/x", "what", "journal-0-x"]
)
def test_what_lies_about_is_a_note(path: Path, name: str) -> None:
    (path / name).write_bytes(b"x")
    report = check(path)
    assert report.clean
    assert name in {f.file for f in report.findings if f.severity == "note"}
