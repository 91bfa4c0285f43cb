"""The examples of a manual page, as a reader would type them."""

from __future__ import annotations

from tests.meta import roff
from tests.meta.roff import Page
from tests.meta.source import CHECKOUT


def page(name: str) -> Page:
    return roff.read_page(CHECKOUT / "man" / name)


def blocks(lines: list[str] | tuple[str, ...]) -> list[list[str]]:
    """The lines between each .EX and .EE."""
    found: list[list[str]] = []
    inside = False
    for line in lines:
        name = roff.macro(line)
        if name in ("EX", "EE"):
            inside = name == "EX"
            if inside:
                found.append([])
        elif inside:
            found[-1].append(roff.unescape(line))
    return found
