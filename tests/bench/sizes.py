"""Sizes that several parts share, so that what is slow to build is built once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.harness import Bench


def large(bench: Bench) -> tuple[int, int]:
    """(events, files) of the large domain, in which every aggregate has 20 events."""
    return (20_000, 2) if bench.quick else (1_000_000, 5)
