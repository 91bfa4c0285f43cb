"""What a measurement says: one figure beside its reference, and whether the goal is met."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. `ratio` is what `says` says it is; `goal` is empty and `met` None where none was set."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    beside: str = ""
    ratio: float | None = None
    says: str = ""
    goal: str = ""
    met: bool | None = None

    def json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def faster(
    name: str, mine: Sequence[float], theirs: Sequence[float], *, beside: str, least: float | None = None
) -> Figure:
    """Seconds of ours beside seconds of a reference; at least `least` times as fast."""
    ratio = ratio_of(theirs, mine)
    goal, met = ("", None) if least is None else (f"at least {least:g}", ratio >= least)
    return Figure(name, median(mine), "s", median(theirs), beside, ratio, "times as fast", goal, met)


def slower(
    name: str, mine: Sequence[float], theirs: Sequence[float], *, beside: str, most: float | None = None
) -> Figure:
    """Seconds of ours beside seconds of a reference; at most `most` times as long."""
    ratio = ratio_of(mine, theirs)
    goal, met = ("", None) if most is None else (f"at most {most:g}", ratio <= most)
    return Figure(name, median(mine), "s", median(theirs), beside, ratio, "times as long", goal, met)


def median(values: Iterable[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def ratio_of(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of each round: a clock that swings between rounds does not touch it."""
    return median([a / b for a, b in zip(above, below, strict=True)])


def format_figure(figure: Figure) -> str:
    """One line of text."""
    line = f"  {figure.name:<38} {_quantity(figure.value, figure.unit):>12}"
    if figure.reference is not None:
        line += f"   {figure.beside} {_quantity(figure.reference, figure.unit)}"
    if figure.ratio is not None:
        line += f"   {figure.ratio:.2f} {figure.says}"
    if figure.goal:
        line += f"   goal: {figure.goal}"
    if figure.met is not None:
        line += ", met" if figure.met else ", NOT MET"
    return line


def _quantity(value: float, unit: str) -> str:
    if unit == "s":
        if value < 1e-3:
            return f"{value * 1e6:.1f} µs"
        return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"
    if unit == "%":
        return f"{value:.1f} %"
    if value < 10:
        return f"{value:.2f} {unit}"
    return f"{value:,.0f} {unit}"
