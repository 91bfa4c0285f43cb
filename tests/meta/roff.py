"""The little of roff that our manual pages may use, so that every reader of them, ours included, can show it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.meta.source import CHECKOUT

MACROS = frozenset(
    {"TH", "SH", "SS", "PP", "TP", "IP", "nf", "fi", "EX", "EE", "RS", "RE"}
    | {"B", "I", "BR", "RB", "IR", "RI", "BI", "IB"}
)
FONTS = frozenset({"B", "I", "BR", "RB", "IR", "RI", "BI", "IB"})
ESCAPES = {"\\fB": "", "\\fI": "", "\\fR": "", "\\fP": "", "\\&": "", "\\-": "-", "\\e": "\\", "\\ ": " "} | {
    "\\(em": "\u2014",
    "\\(en": "\u2013",
    "\\(bu": "\u2022",
    "\\(aq": "'",
    "\\(dq": '"',
}

_escape = re.compile(r"\\(?:f.|\(..|.)")


@dataclass(frozen=True, slots=True)
class Page:
    """A manual page: name and section from its file name, and its lines."""

    path: str
    name: str
    section: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a reader sees, without macros, fonts and escapes; one line of the file stays one line."""
        return "\n".join(visible(line) for line in self.lines)


def read_pages() -> list[Page]:
    """Every page in man/, in a stable order."""
    return [read_page(file) for file in sorted((CHECKOUT / "man").glob("*.[1-9]"))]


def read_page(file: Path) -> Page:
    """The page in `file`."""
    name, _, section = file.name.rpartition(".")
    return Page(f"man/{file.name}", name, section, tuple(file.read_text(encoding="utf-8").splitlines()))


def macro(line: str) -> str | None:
    """The macro that a line calls; None for text, the empty string for a comment."""
    if not line.startswith((".", "'")):
        return None
    word = line[1:].split(" ", 1)[0]
    return "" if word.startswith('\\"') else word


def unescape(text: str) -> str:
    """`text` with every known escape resolved."""
    return _escape.sub(lambda found: ESCAPES.get(found[0], found[0]), text)


def visible(line: str) -> str:
    """What a reader sees of one line: the arguments of a font macro are joined as roff joins them."""
    name = macro(line)
    if name is None:
        return unescape(line)
    if name not in FONTS and name not in ("SH", "SS", "IP"):
        return ""
    lexer = shlex.shlex(line[1 + len(name) :], posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
    return unescape(("" if len(name) == 2 and name in FONTS else " ").join(lexer))


def unknown(page: Page) -> list[str]:
    """The macros and escapes of a page that are not among those above, as `path:line: which`."""
    found = []
    for number, line in enumerate(page.lines, 1):
        name = macro(line)
        if name == "":
            continue
        if line.startswith("'") or (name is not None and name not in MACROS):
            found.append(f"{page.path}:{number}: the macro '{line.split(' ', 1)[0]}'")
        found += [f"{page.path}:{number}: the escape '{e}'" for e in _escape.findall(line) if e not in ESCAPES]
    return found


def sections(page: Page) -> dict[str, list[str]]:
    """The lines below each .SH, by its title."""
    found: dict[str, list[str]] = {}
    for line in page.lines:
        if macro(line) == "SH":
            found[visible(line)] = []
        elif found:
            found[next(reversed(found))].append(line)
    return found


def tags(lines: list[str] | tuple[str, ...]) -> list[str]:
    """What a reader sees of every .TP tag."""
    return [visible(tag) for before, tag in pairwise(lines) if macro(before) == "TP"]
