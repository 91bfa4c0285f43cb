"""Randomness as an argument: what draws salts, uuids and workers."""

from __future__ import annotations

from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Gives n random bytes; os.urandom wherever it matters, a fixed sequence to make the same files twice."""
