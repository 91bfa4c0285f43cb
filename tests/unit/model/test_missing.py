"""What is not there is named, and the hint is a command that shows what is."""

from __future__ import annotations

from dbx.errors import NotFound
from dbx.model.missing import no_aggregate, no_event


def test_an_aggregate() -> None:
    error = no_aggregate("orders", "order", "o-1")
    assert isinstance(error, NotFound)
    assert str(error) == "aggregate 'order/o-1' does not exist in domain 'orders'"
    assert error.hint == "see 'dbx aggregate list order'"


def test_an_event() -> None:
    error = no_event("orders", 42)
    assert str(error) == "event '42' does not exist in domain 'orders'"
    assert error.hint == "see 'dbx events'"
