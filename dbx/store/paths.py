"""Directories outside of any repository."""

from __future__ import annotations

import os

from dbx.store.fs import Directory


def make_durably(path: str) -> None:
    """Make a directory with its parents, each entered in its own parent durably."""
    made = []
    while not os.path.isdir(path):
        made.append(path)
        path = os.path.dirname(path)
    for one in reversed(made):
        os.makedirs(one, exist_ok=True)
        Directory(os.path.dirname(one)).sync()
