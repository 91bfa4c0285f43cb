"""Finds the manual pages, wherever dbx is installed."""

from __future__ import annotations

import os
import sys

import dbx

# Commands before formats before background: the order in which man(1) looks, too.
SECTIONS = "157"


def find_page(words: tuple[str, ...]) -> str | None:
    """The file of the page for a command or a topic; `()` is dbx(1).

    `("aggregate", "apply")` is in dbx-aggregate-apply.1, or with its siblings in dbx-aggregate.1.
    """
    for length in range(len(words), min(len(words), 1) - 1, -1):
        name = "-".join(("dbx", *words[:length]))
        for section in SECTIONS if os.sep not in name else ():
            for folder in _folders(section):
                path = os.path.join(folder, f"{name}.{section}")
                for file in (path, path + ".gz"):
                    if os.path.isfile(file):
                        return file
    return None


def topics() -> list[str]:
    """What find_page knows, as words of a command line."""
    found = set()
    for section in SECTIONS:
        for folder in _folders(section):
            if os.path.isdir(folder):
                pages = [entry.removesuffix(".gz") for entry in os.listdir(folder)]
                found |= {p[4:-2] for p in pages if p.startswith("dbx-") and p.endswith("." + section)}
    return sorted(found)


def read_page(path: str) -> str:
    """The source of a page."""
    if path.endswith(".gz"):
        import gzip

        with gzip.open(path, "rt", encoding="utf-8") as packed:
            return packed.read()
    with open(path, encoding="utf-8") as file:
        return file.read()


def _folders(section: str) -> list[str]:
    package = os.path.dirname(os.path.abspath(dbx.__file__))
    # A checkout first; then the prefix. lib/python3.x/site-packages/dbx lies four levels below it, also for pip --user.
    prefix = os.path.normpath(os.path.join(package, *[os.pardir] * 4))
    shared = [os.path.join(base, "share", "man", f"man{section}") for base in dict.fromkeys((sys.prefix, prefix))]
    return [os.path.join(os.path.dirname(package), "man"), *shared]
