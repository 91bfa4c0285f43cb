"""`dbx config`: read, set, unset, refuse."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Runner

DEFAULTS = [
    "auth.required=false",
    "env=-",
    "list_page_size=10",
    "page_limit=1000",
    "plugin_max_attempts=10",
    "plugin_queue.prune.done_ttl_secs=86400",
    "plugin_queue.prune.interval_secs=300",
    "plugin_queue.prune.max_done_jobs=-",
    "reference_default_depth=2",
    "reference_domain=-",
    "reference_max_depth=5",
    "restrict=default",
    "schema.require_publish=false",
    "snapshot_threshold=-",
    "snowflake_worker_id=-",
    "user.group=-",
    "user.name=-",
    "verbose_responses=true",
]


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


def test_all_of_them(shop: Runner) -> None:
    assert shop.ok("config").lines == shop.ok("config", "--list").lines == DEFAULTS
    listed = shop.ok("config", "--json").json["settings"]
    assert [one["key"] for one in listed] == [line.partition("=")[0] for line in DEFAULTS]
    assert listed[2] == {"key": "list_page_size", "value": 10, "set": False, "default": 10, "scope": "workspace"}


def test_set_read_unset(shop: Runner) -> None:
    assert shop.ok("config", "list_page_size", "25").lines == ["list_page_size=25"]
    assert shop.ok("config", "list_page_size").stdout == "25\n"
    assert shop.ok("config", "list_page_size", "--json").json["set"] is True
    assert (shop.cwd / ".dbx" / "config.yaml").read_text() == "format: 1\nlist_page_size: 25\n"
    assert shop.ok("config", "--unset", "list_page_size").lines == ["list_page_size=10"]
    assert shop.ok("config").lines == DEFAULTS


def test_what_is_not_set_has_status_1(shop: Runner) -> None:
    outcome = shop("config", "user.name")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (1, "", "dbx: 'user.name' is not set\n")
    assert shop("config", "user.name", "--json", "--quiet").json["value"] is None
    shop.ok("config", "user.name", "ann")
    assert shop.ok("config", "user.name").stdout == "ann\n"


def test_the_flags_of_eventdbx(shop: Runner) -> None:
    flags = {
        "--list-page-size": "20",
        "--page-limit": "500",
        "--snapshot-threshold": "100",
        "--snowflake-worker-id": "1023",
        "--verbose-responses": "false",
        "--plugin-max-attempts": "3",
        "--reference-default-depth": "1",
        "--reference-max-depth": "4",
    }
    shop.ok("config", *[part for pair in flags.items() for part in pair])
    for flag, value in flags.items():
        assert shop.ok("config", flag[2:].replace("-", "_")).stdout == value + "\n"
    assert shop.ok("config", "--clear-snapshot-threshold").lines == ["snapshot_threshold=-"]
    assert shop("config", "snapshot_threshold").status == 1


def test_a_domains_settings_are_its_own(shop: Runner) -> None:
    shop.ok("checkout", "-c", "other")
    shop.ok("config", "snapshot_threshold", "7")
    shop.ok("config", "page_limit", "77")
    assert shop.ok("config", "snapshot_threshold").stdout == "7\n"
    assert shop("-d", "default", "config", "snapshot_threshold").status == 1
    assert shop.ok("-d", "default", "config", "page_limit").stdout == "77\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("list_pagesize", "5"), 5, "did you mean 'list_page_size'?"),
        (("list_pagesize",), 5, "there is no setting 'list_pagesize'"),
        (("--unset", "nothing-like-it"), 5, "there is no setting 'nothing-like-it'"),
        (("list_page_size", "0"), 5, "must be a whole number from 1 to 1000000"),
        (("list_page_size", "ten"), 5, "must be a whole number"),
        (("list_page_size", "1e3"), 5, "must be a whole number"),
        (("list_page_size", "9" * 400), 5, "must be a whole number"),
        (("list_page_size", ""), 5, "must be a whole number"),
        (("--list-page-size", "ten"), 5, "must be a whole number"),
        (("--snowflake-worker-id", "1024"), 5, "from 0 to 1023"),
        (("--plugin-max-attempts", "0"), 5, "from 1 to 255"),
        (("--reference-default-depth", "6"), 5, "from 0 to 5"),
        (("--reference-max-depth", "1"), 5, "must not be above 'reference_max_depth', which is 1"),
        (("--verbose-responses", "yes"), 5, "must be true or false"),
        (("user.name", "a\nb"), 5, "without control characters"),
        (("user.name", "x" * 129), 5, "1 to 128 characters"),
        (("list_page_size", "5", "6"), 2, "unexpected argument '6'"),
        (("list_page_size", "--page-limit", "5"), 2, "'list_page_size' has no value"),
        (("--list", "list_page_size"), 2, "'--list' stands alone"),
        (("--snapshot-threshold", "5", "--clear-snapshot-threshold"), 2, "set and unset at once"),
        (("--port", "7070"), 2, "unknown option '--port'"),
    ],
)
def test_what_is_refused_changes_nothing(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    outcome = shop("config", *arguments)
    assert outcome.status == status
    assert said in outcome.stderr
    assert shop.ok("config").lines == DEFAULTS


def test_one_bad_value_of_many_sets_none(shop: Runner) -> None:
    assert shop("config", "--list-page-size", "5", "--snapshot-threshold", "0").status == 5
    assert shop("config", "--snapshot-threshold", "5", "--list-page-size", "0").status == 5
    assert shop.ok("config").lines == DEFAULTS


def test_a_file_that_somebody_spoilt(shop: Runner) -> None:
    path = shop.cwd / ".dbx" / "config.yaml"
    path.write_text("format: 1\nlist_pagesize: hunter2\n")
    for arguments in (("config",), ("config", "page_limit"), ("config", "page_limit", "5")):
        outcome = shop(*arguments, "--json")
        assert (outcome.status, outcome.error["hint"]) == (5, "did you mean 'list_page_size'?")
        assert outcome.error["details"]["file"] == str(path)
        assert "hunter2" not in outcome.stderr
    path.write_text("format: 1\nlist_page_size: [1\n")
    assert "line 2" in shop("config").stderr or "line 3" in shop("config").stderr
    # Whether a token is asked for cannot be known either, so nobody is let in.
    assert shop("status", "--json").error["details"]["file"] == str(path)


def test_without_a_repository(run: Runner) -> None:
    assert run("config").status == 3


def test_comments_and_order_stay(shop: Runner) -> None:
    config = shop.cwd / ".dbx" / "config.yaml"
    config.write_text("# ours\nformat: 1\npage_limit: 9  # few\n\n# who\nuser:\n  name: ann # me\n")
    shop.ok("config", "page_limit", "8")
    shop.ok("config", "list_page_size", "7")
    shop.ok("config", "user.group", "ops")
    lines = ["# ours", "format: 1", "page_limit: 8  # few", "", "# who", "user:", "  name: ann # me", "  group: ops"]
    assert config.read_text().splitlines() == [*lines, "list_page_size: 7"]
    domain = shop.cwd / ".dbx" / "domains" / "default" / "domain.yaml"
    before = domain.read_text()
    domain.write_text("# the shop\n" + before)
    shop.ok("config", "snapshot_threshold", "100")
    after = before.replace("settings: {}\n", "settings:\n  snapshot_threshold: 100\n")
    assert domain.read_text() == "# the shop\n" + after
    shop.ok("config", "--unset", "snapshot_threshold")
    assert domain.read_text() == "# the shop\n" + before
