"""fixtures/: what is committed is what its README and checksums say, and what dbx accepts."""

from __future__ import annotations

import hashlib
import json

from dbx.model.names import check_event_type, check_id, check_metadata_key, check_type
from dbx.model.time import parse_time
from tests.vectors import CHECKOUT

EVENTS = CHECKOUT / "fixtures" / "events"
README = (CHECKOUT / "fixtures" / "README.md").read_text(encoding="utf-8")


def test_checksums() -> None:
    listed = dict(
        reversed(line.split("  ")) for line in (EVENTS / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    )
    assert set(listed) == {path.name for path in EVENTS.glob("*.jsonl")}
    for name, checksum in listed.items():
        assert hashlib.sha256((EVENTS / name).read_bytes()).hexdigest() == checksum


def test_flights_are_events_in_order_of_time() -> None:
    lines = (EVENTS / "flights.jsonl").read_text(encoding="ascii").splitlines()
    events = [json.loads(line) for line in lines]
    assert f"{len(events):,} events of {len({event['aggregate_id'] for event in events})} aircraft" in README
    times = []
    for event in events:
        assert list(event) == ["aggregate_type", "aggregate_id", "event_type", "payload", "metadata", "created_at"]
        assert check_type(event["aggregate_type"]) == "aircraft"
        check_id(event["aggregate_id"])
        assert check_event_type(event["event_type"]) in {"flight_departed", "flight_arrived", "flight_cancelled"}
        assert [check_metadata_key(key) for key in event["metadata"]] == ["@source"]
        times.append(parse_time(event["created_at"]))
    assert times == sorted(times)
    assert times[0] >= parse_time("2013-02-04T00:00:00-05:00")
    assert times[-1] < parse_time("2013-02-12T00:00:00-05:00")
    for event_type in ("flight_departed", "flight_arrived", "flight_cancelled"):
        assert f"`{event_type}` ({sum(event['event_type'] == event_type for event in events):,})" in README
