"""Which snapshots a policy gives up, and what is a comment, an id, a size."""

from __future__ import annotations

import pytest

from dbx.errors import Invalid, UsageError
from dbx.model.snapshot import Outline, Policy, auto_comment, check_comment, parse_size, parse_snapshot_id

DAY = 86_400_000_000
NOW = 100 * DAY
# Versions 1..5 of 'a', taken 50, 40, 30, 20 and 10 days ago, of 1..5 kB; and one of 'b', 60 days ago, of 10 kB.
ALL = [Outline(n, "order", "a", n, NOW - (60 - 10 * n) * DAY, 1000 * n) for n in range(1, 6)]
ALL.append(Outline(6, "order", "b", 1, NOW - 60 * DAY, 10_000))


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        (Policy(keep_last=2), [1, 2, 3]),
        (Policy(keep_last=0), [1, 2, 3, 4, 5, 6]),
        (Policy(keep_last=9), []),
        (Policy(keep_days=30), [1, 2, 6]),
        (Policy(keep_days=0), [1, 2, 3, 4, 5, 6]),
        (Policy(larger_than=4000), [5, 6]),
        (Policy(larger_than=10_000), []),
        (Policy(keep_last=1, keep_days=30), [1, 2]),
        (Policy(keep_last=1, larger_than=1000), [2, 3, 4]),
        (Policy(keep_last=0, keep_days=15, larger_than=2000), [3, 4, 6]),
    ],
)
def test_what_goes_is_what_every_rule_gives_up(policy: Policy, gone: list[int]) -> None:
    assert [one.id for one in policy.choose(ALL, NOW)] == gone
    assert [one.id for one in policy.choose(reversed(ALL), NOW)] == gone


def test_the_later_one_of_a_version_is_the_last() -> None:
    both = [Outline(n, "order", "a", 3, NOW, 1) for n in (7, 8)]
    assert [one.id for one in Policy(keep_last=1).choose(both, NOW)] == [7]


def test_a_policy_without_a_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="no rule"):
        Policy()


def test_texts() -> None:
    assert auto_comment(300) == "auto snapshot v300"
    assert check_comment("é" * 1000) == "é" * 1000
    for bad in ("x" * 1001, "a\nb", "\u202e"):
        with pytest.raises(Invalid):
            check_comment(bad)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500", 500), ("64k", 65536), ("10M", 10 << 20), ("2GiB", 2 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5M", "10T", "１", "9" * 16, "1 k"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(Invalid, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "x", "-1", "01", "1.0", "٣", str(1 << 63), "9" * 5000])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(Invalid, match="is not a valid snowflake"):
        parse_snapshot_id(text)
    assert parse_snapshot_id("42") == 42
