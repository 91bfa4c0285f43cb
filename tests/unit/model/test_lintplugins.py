"""Payload modes that send more than anybody needs are found; those that may be needed are not."""

from __future__ import annotations

from typing import Any

import pytest

from dbx.model.lintfacts import EventFacts, Facts, TypeFacts
from dbx.model.lintplugins import payload_modes
from dbx.model.plugin import HttpConfig, LogConfig, Plugin, ProcessConfig, TcpConfig
from dbx.model.schema import Schema
from dbx.model.schemaparse import parse_schema

CONFIGS = {
    "http": HttpConfig("https://example.org/"),
    "cloud": HttpConfig("https://example.org/", format="cloudevents"),
    "tcp": TcpConfig("example.org", 1),
    "log": LogConfig(),
    "event log": LogConfig(template="{event} {payload}"),
    "state log": LogConfig(template="{event} {state}"),
    "process": ProcessConfig("/bin/cat"),
}


def schema(**more: Any) -> Schema:
    found, problems = parse_schema({"aggregate": "order", "events": {"placed": {}}, **more})
    assert found is not None, problems
    return found


def orders(
    longest: int = 3, aggregates: int = 1000, event_bytes: int = 300, state_bytes: int = 200, **more: Any
) -> Any:
    count = longest * aggregates
    return TypeFacts(
        "order", aggregates, "o-1", longest, {"placed": EventFacts(count)},
        event_bytes=event_bytes * count, state_bytes=state_bytes, **more,
    )  # fmt: skip


def modes(config: str, mode: str, *types: TypeFacts, **more: Any) -> list[str]:
    plugin = Plugin("hook", CONFIGS[config], "", payload_mode=mode, **more)
    found = list(payload_modes(Facts("shop", 0, types, plugins=[plugin])))
    for one in found:
        assert (one.rule, one.where) == ("payload-mode", "hook")
        assert all(one)
        assert one.command.startswith(f"dbx plugin config {plugin.kind} --name hook ")
    return [one.command.rpartition(" ")[2] for one in found]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("mode", ["event-only", "state-only", "schema-only", "extensions-only"])
def test_a_mode_that_sends_one_thing_is_never_too_large(config: str, mode: str) -> None:
    assert modes(config, mode, orders(longest=1, state_bytes=1_000_000)) == []


@pytest.mark.parametrize(
    ("config", "mode", "expected"),
    [
        ("http", "all", []),
        ("log", "all", []),
        ("process", "all", []),
        ("event log", "all", ["event-only"]),
        ("state log", "all", []),
        ("http", "event-and-schema", ["event-only"]),  # there is no schema
        ("cloud", "event-and-schema", []),
    ],
)
def test_what_the_configuration_tells(config: str, mode: str, expected: list[str]) -> None:
    assert modes(config, mode, orders()) == expected
    assert modes(config, mode) == (expected if config == "event log" else [])  # before there are events
    assert modes(config, mode, orders(), enabled=False) == []
    assert modes(config, mode, orders(), emit_events=False) == []


def test_a_schema_that_is_there_may_be_needed() -> None:
    assert modes("http", "event-and-schema", orders(schema=schema())) == []
    assert modes("event log", "event-and-schema", orders(schema=schema())) == ["event-only"]


def test_a_state_that_is_the_payload() -> None:
    assert modes("http", "all", orders(longest=1)) == ["event-only"]
    assert modes("http", "all", orders(longest=1, schema=schema())) == ["event-and-schema"]
    assert modes("http", "all", orders(longest=1, aggregates=99)) == []
    assert modes("http", "all", orders(longest=1), orders(longest=2)) == []
    assert modes("cloud", "all", orders(longest=1)) == []


@pytest.mark.parametrize(
    ("event_bytes", "state_bytes", "expected"),
    [
        (300, 4095, []),
        (300, 4096, ["event-only"]),
        (500, 4999, []),
        (500, 5000, ["event-only"]),
        (10_000, 99_999, []),
    ],
)
def test_what_is_far_larger_than_the_event(event_bytes: int, state_bytes: int, expected: list[str]) -> None:
    large = orders(event_bytes=event_bytes, state_bytes=state_bytes)
    assert modes("process", "all", large) == expected
    assert modes("cloud", "all", large) == []


def test_a_schema_counts_and_what_is_hidden_does_not() -> None:
    columns = {f"field_{n}": {"type": "text", "length": {"min": 1, "max": 80}} for n in range(200)}
    assert modes("http", "event-and-schema", orders(schema=schema(columns=columns))) == ["event-only"]
    hidden = orders(state_bytes=100_000, schema=schema(hidden=True))
    assert modes("http", "all", hidden) == []
    assert modes("http", "all", hidden, include_hidden=True) == ["event-only"]
    # One large type among many small events is no reason.
    assert modes("http", "all", orders(longest=2, aggregates=10, state_bytes=100_000), orders()) == []
