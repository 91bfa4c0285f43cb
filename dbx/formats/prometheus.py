"""Prometheus' text format, version 0.0.4: what a server counts, for a monitor to fetch.

# HELP dbx_domain_head_seq Number of the newest commit, counted from 0.
# TYPE dbx_domain_head_seq gauge
dbx_domain_head_seq{domain="orders"} 512
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sample(NamedTuple):
    """One value: what follows the family's name (as `_sum`), labels, and the value."""

    suffix: str
    labels: Sequence[tuple[str, str]]
    value: float


class Family(NamedTuple):
    """Samples of one name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: Sequence[Sample]


def encode_families(families: Iterable[Family]) -> bytes:
    """The text for some families; their names must differ."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for suffix, labels, value in family.samples:
            shown = ",".join(f'{key}="{_quoted(text)}"' for key, text in labels)
            lines.append(f"{family.name}{suffix}{f'{{{shown}}}' if shown else ''} {_number(value)}")
    return "".join(f"{line}\n" for line in lines).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
