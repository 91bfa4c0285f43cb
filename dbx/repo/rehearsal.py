"""A transaction as it would be, with every check and no writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.time import format_time
from dbx.repo.attempt import build
from dbx.repo.build import Builder
from dbx.repo.enforcement import find_rules
from dbx.repo.events import decode_own
from dbx.repo.log import Stored
from dbx.repo.writer import writing

if TYPE_CHECKING:
    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.writer import Append


def rehearse(domain: Domain, request: Append) -> list[Event]:
    """The events that `Appender.append` would make of a request now, their commit -1. Raises what it would raise."""
    with writing(domain):
        try:
            rules = find_rules(domain)
            if rules is not None:
                rules.prepare()
            request.complete()
            working = domain.sync()
            now_us = domain.clock()
            worker, last = domain.draw_from(working.index, "append")
            made = build(domain, working, rules, request, now_us, format_time(now_us), worker, last)
            if isinstance(made, Builder):
                made.refuse()
            position = working.head.position
            return [
                decode_own(Stored(position + n, envelope, body), -1)
                for n, (envelope, body) in enumerate(zip(made.envelopes, made.bodies, strict=True))
            ]
        finally:
            domain.reset()  # the records in memory are one transaction ahead
