"""The events that are measured: orders of a shop, the same bytes on every machine.

`python workload.py EVENTS AGGREGATES FILE...` writes them, spread evenly over the files. Each aggregate gets the same
number of events, interleaved with those of all others, so that every file touches every aggregate.
"""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_CITIES = ("Aarhus", "Bergen", "Cádiz", "Dresden", "Évora", "Firenze", "Gdańsk", "Haarlem", "İzmir", "Jönköping")
_STREETS = ("Harbour Street", "Mill Lane", "Station Road", "Church Walk", "Nørregade", "Rue du Four", "Am Kanal")
_CARRIERS = ("postnord", "dhl", "ups", "gls")
_STAFF = tuple(f"csr-{n}" for n in range(1, 40))
_SOURCES = ("till-1", "till-2", "shop-eu", "shop-us", "import")
_STEPS = ("item_added", "item_added", "address_changed", "payment_received", "parcel_scanned", "price_changed")


def name_of(number: int) -> str:
    """The id of the aggregate with that number."""
    return f"o-{number:06d}"


def events(count: int, aggregates: int) -> Iterator[dict[str, Any]]:
    """`count` events as `aggregate apply --from` takes them; the first `count % aggregates` aggregates get one more."""
    draw = random.Random(20260101)
    seen = bytearray(aggregates)
    order: list[int] = []
    for number in range(count):
        if not order:
            order = draw.sample(range(aggregates), aggregates) if count - number >= aggregates else []
            order = order or draw.sample(range(count - number), count - number)
        which = order.pop()
        kind = draw.choice(_STEPS) if seen[which] else "order_placed"
        seen[which] = 1
        yield {
            "aggregate_type": "order",
            "aggregate_id": name_of(which),
            "event_type": kind,
            "payload": _payload(draw, kind),
            "metadata": {
                "@actor": draw.choice(_STAFF),
                "@request": f"{draw.getrandbits(48):012x}",
                "@source": draw.choice(_SOURCES),
            },
        }


def _payload(draw: random.Random, kind: str) -> dict[str, Any]:
    day, minute = divmod(draw.randrange(28 * 1440), 1440)
    payload: dict[str, Any] = {"at": f"2026-02-{day + 1:02d}T{minute // 60:02d}:{minute % 60:02d}:00Z"}
    if kind == "order_placed":
        payload |= {
            "customer": f"c-{draw.randint(1, 400_000)}",
            "currency": "EUR",
            "total_cents": draw.randint(100, 500_000),
            "channel": draw.choice(("web", "shop", "phone")),
            "express": draw.random() < 0.2,
        }
    elif kind == "address_changed":
        payload["address"] = {
            "street": f"{draw.choice(_STREETS)} {draw.randint(1, 240)}",
            "zip": f"{draw.randint(10_000, 99_999)}",
            "city": draw.choice(_CITIES),
        }
    elif kind == "payment_received":
        payload |= {
            "amount": draw.randint(100, 500_000) / 100,
            "method": draw.choice(("card", "invoice", "transfer")),
            "reference": f"{draw.getrandbits(64):016X}",
            "settled": True,
        }
    elif kind == "parcel_scanned":
        payload |= {
            "carrier": draw.choice(_CARRIERS),
            "tracking": f"{draw.getrandbits(64):020d}",
            "weight_kg": draw.randint(1, 30_000) / 1000,
            "place": draw.choice(_CITIES),
        }
    else:
        payload |= {
            "sku": f"SKU-{draw.randint(1, 60_000):06d}",
            "quantity": draw.randint(1, 12),
            "price_cents": draw.randint(100, 90_000),
            "tags": draw.sample(("fragile", "gift", "sale", "new", "heavy"), 2),
            "discount": None,
        }
    return payload


def write(count: int, aggregates: int, paths: list[str]) -> None:
    """Write the events as JSON lines, an equal share to each path."""
    share = -(-count // len(paths))
    source = events(count, aggregates)
    for path in paths:
        with open(path, "w", encoding="utf-8") as file:
            for _, event in zip(range(share), source, strict=False):
                file.write(json.dumps(event, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
