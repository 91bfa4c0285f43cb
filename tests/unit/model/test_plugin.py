"""Names, words and waits of plugins, and what the file that holds them may say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbx.errors import Denied, Invalid
from dbx.model.plugin import (
    KINDS,
    MODES,
    HttpConfig,
    LogConfig,
    Plugin,
    ProcessConfig,
    TcpConfig,
    backoff_s,
    check_plugin_name,
    parse_publish,
    shown_value,
)
from dbx.model.pluginparse import check_address, normalise_endpoint, parse_plugin, to_document

AT = "2026-11-23T07:42:00.000000Z"
CONFIGS = [
    HttpConfig("https://example.org/hook?a=b", (("A", "b"),), "key", "cloudevents", True, 2.5),
    HttpConfig("http://[2001:4860:4860::8888]:8080/"),
    TcpConfig("example.org", 7, timeout_s=1.0),
    LogConfig("warn", "{aggregate}/{id} {\"json\": {event}}", "/var/log/x"),
    ProcessConfig("/bin/cat", ("-u", ""), (("A_B", "c"),), "/tmp", "1.0"),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_plugin_comes_back_as_it_was(config: Any) -> None:
    plugin = Plugin("a.b", config, AT, enabled=False, emit_events=False, payload_mode="event-only", on_dead="hold")
    assert parse_plugin("a.b", to_document(plugin)) == plugin
    assert shown_value(plugin)["config"]["type"] == plugin.kind


def test_what_is_shown_holds_no_secret() -> None:
    shown = str([shown_value(Plugin("x", config, AT)) for config in CONFIGS])
    assert "key" not in shown.replace("hmac_key", "")
    assert "'b'" not in shown
    assert "'c'" not in shown


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a:b", "a b", "a" * 65, "ä", "a\n", ".a"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(Invalid):
        check_plugin_name(name)


def test_waits_grow_as_eventdbx_has_them() -> None:
    assert [backoff_s(n, 0.0) for n in range(1, 7)] == [1, 2, 4, 10, 10, 10]
    assert backoff_s(2, 1.0) == 2.5


def test_publish_has_up_to_three_parts() -> None:
    assert tuple(parse_publish("a")) == ("a", None, "normal")
    assert tuple(parse_publish("a::high")) == ("a", None, "high")
    for text in ("a:b", "a:all:b", "a:all:low:x", "", ":", "a:all:"):
        with pytest.raises(Invalid):
            parse_publish(text)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1%eth0",
     "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "192.0.2.1"],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    assert check_address(address, allow_private=False) is not None
    assert check_address(address, allow_private=True) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "nonsense", ""])
def test_what_is_no_host(address: str) -> None:
    assert check_address(address, allow_private=True) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert check_address(address, allow_private=False) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "https://a.localhost./", "http://[::1]/"])
def test_private_endpoints_are_denied(url: str) -> None:
    with pytest.raises(Denied):
        parse_plugin("x", {"type": "http", "created_at": AT, "endpoint": url})


def test_an_endpoint_without_a_scheme() -> None:
    assert normalise_endpoint("a/b") == "http://a/b"
    assert normalise_endpoint("a/b", https=True) == "https://a/b"
    with pytest.raises(Invalid):
        normalise_endpoint("http://a/b", https=True)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
WORDS = st.sampled_from([*KINDS, *MODES, AT, "/bin/cat", "a\0b", "x" * 5000, "{nope}"])
VALUES = SCALARS | WORDS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=2)
MEMBERS = st.sampled_from(
    ["type", "enabled", "emit_events", "payload_mode", "include_hidden", "on_dead", "created_at", "endpoint", "headers",
     "hmac_key", "format", "allow_private", "timeout_s", "host", "port", "level", "template", "file", "command", "args",
     "env", "working_dir", "version", "other"]
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CONFIGS), MEMBERS, VALUES)
def test_whatever_a_file_says_is_a_plugin_or_refused(config: Any, member: str, value: Any) -> None:
    document = {**to_document(Plugin("x", config, AT)), member: value}
    try:
        plugin = parse_plugin("x", document)
    except (Invalid, Denied):
        return
    assert parse_plugin("x", to_document(plugin)) == plugin
