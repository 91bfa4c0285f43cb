"""Cycles are not collected inside, and again behind it, whatever happens."""

from __future__ import annotations

import gc

import pytest

from dbx.repo.collection import no_collection


def test_cycles_are_collected_again_behind_it() -> None:
    assert gc.isenabled()
    with no_collection():
        assert not gc.isenabled()
        with no_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_lets_them_be_collected_again() -> None:
    with pytest.raises(ValueError, match="x"), no_collection():
        raise ValueError("x")
    assert gc.isenabled()
