"""A journal that ends oddly is looked at for a while, because somebody may be writing: not here, where nobody is."""

from __future__ import annotations

import pytest

from dbx.repo.check import domain


@pytest.fixture(autouse=True)
def no_pause(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.path.stem.endswith("meanwhile"):
        monkeypatch.setattr(domain, "_PAUSE_S", 0)
