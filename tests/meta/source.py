"""The project's own files, read once, for the tests that check rules over them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path relative to the checkout, with forward slashes, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module


def source(path: str, text: str) -> Source:
    """`text` as if it were the file `path`."""
    return Source(path, text, ast.parse(text, path))


def python_files(*folders: str) -> Iterator[Source]:
    """Every Python file below `folders`, in a stable order, but for those that are handed out and run by themselves."""
    for folder in folders:
        for file in sorted((CHECKOUT / folder).rglob("*.py")):
            if file.parent.name == "handout":
                continue
            yield source(file.relative_to(CHECKOUT).as_posix(), file.read_text(encoding="utf-8"))


def text_files() -> Iterator[tuple[str, str]]:
    """Path and text of every file that people of this project write, in a stable order."""
    files = [CHECKOUT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", ".ci/run")]
    for folder in ("dbx", "tests", "fixtures", "man"):
        files += sorted((CHECKOUT / folder).rglob("*"))
    written = {".py", ".md", ".toml", ".sh", ".1", ".5", ".7", ".yaml", ""}
    for file in files:
        if file.is_file() and file.suffix in written and "__pycache__" not in file.parts:
            try:
                yield file.relative_to(CHECKOUT).as_posix(), file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # a fixture of bad bytes, which nobody wrote as text
