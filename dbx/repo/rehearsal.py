"""A transaction as it would be, with every check and no writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.time import format_time
from dbx.repo.build import Builder
from dbx.repo.events import decode_own
from dbx.repo.log import Stored
from dbx.repo.writer import writing

if TYPE_CHECKING:
    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.writer import Append


def rehearse(domain: Domain, request: Append) -> list[Event]:
    """The events that `Appender.append` would make of a request now, their commit -1. Raises what it would raise."""
    with writing(domain) as working:
        try:
            now_us = domain.clock()
            worker, last = domain.draw_from(working.index, "append")
            builder = Builder(
                find=working.find,
                has_type=working.has_type,
                is_taken=working.is_taken,
                is_kept=working.is_staged,
                now_us=now_us,
                now=format_time(now_us),
                worker=worker,
                last_id=last,
                issued_by=request.issued_by,
                entropy=domain.entropy,
                existence=request.existence,
                reserved=request.reserved,
                max_faults=len(request.items) + 1,
            )
            first_line = 0 if len(request.items) == 1 else 1
            builder.add(((first_line + n, item, None) for n, item in enumerate(request.items)), None)
            builder.refuse()
            position = working.head.position
            return [
                decode_own(Stored(position + n, envelope, body), -1)
                for n, (envelope, body) in enumerate(zip(builder.envelopes, builder.bodies, strict=True))
            ]
        finally:
            domain.reset()  # the records in memory are one transaction ahead
