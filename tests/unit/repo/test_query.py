"""Listing events: the windows in which those of a type are looked for show nowhere."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dbx.errors import NotFound
from dbx.repo import query
from dbx.repo.writer import Append, Appender
from tests.history import item, open_repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("window", [1, 7, 250_000])
def test_events_of_a_type_are_those_of_the_log_window_by_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(query, "_WINDOW", window)
    with closing(open_repository(tmp_path)) as repository:
        domain = repository.domain()
        assert list(query.iterate_events(domain, "order")) == []
        for n in range(10):
            kinds = ("order", "person", "order") if n % 3 else ("person",) * 4
            items = [{**item(f"o-{k}", n=n), "aggregate_type": kind} for k, kind in enumerate(kinds)]
            Appender(domain).append(Append(items, issued_by=None))
        every = list(query.iterate_events(domain))
        for kind in ("order", "person", "nobody"):
            of_kind = [event for event in every if event.aggregate_type == kind]
            assert list(query.iterate_events(domain, kind)) == of_kind
            for start, end in ((5, None), (5, 17), (0, 5), (17, 5), (0, 10_000)):
                wanted = [e for e in of_kind if e.position >= start and (end is None or e.position < end)]
                assert list(query.iterate_events(domain, kind, start=start, end=end)) == wanted
        with pytest.raises(NotFound):
            list(query.iterate_events(domain, "order", "o-9"))
