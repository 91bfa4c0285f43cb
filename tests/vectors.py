"""Where the published test vectors and real events lie: beside the checkout, never in it (their licences differ)."""

from __future__ import annotations

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = CHECKOUT.parent / "shared"


def shared(path: str) -> Path:
    """`path` below `../shared`, such as `vectors/blns` or `events/sepsis.jsonl.gz`.

    Skips the calling test, or the module when called while it is imported, and names what is missing.
    """
    found = SHARED / path
    if not found.exists():
        missing = SHARED
        for part in Path(path).parts:
            if not missing.exists():
                break
            missing /= part
        pytest.skip(f"shared test data is missing: no '{missing}'", allow_module_level=True)
    return found
