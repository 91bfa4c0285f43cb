"""The options and shapes of resolved references (EventDBX §3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from dbx.cli.shapes import aggregate_value
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.resolve import Resolved
    from dbx.ops.references import Tree

    F = TypeVar("F", bound=Callable[..., Any])


def resolve_options(function: F) -> F:
    """Decorator: `resolve` and `resolve_depth`."""
    function = click.option(
        "--resolve-depth", metavar="N", type=click.IntRange(min=0), help="With --resolve: follow so many hops."
    )(function)
    return click.option("--resolve", is_flag=True, help="What its references lead to, as well.")(function)


def check_resolve(resolve: bool, depth: int | None) -> None:
    """Raise UsageError for a depth that nothing is followed to."""
    if depth is not None and not resolve:
        raise UsageError("'--resolve-depth' needs '--resolve'")


def tree_value(tree: Tree) -> dict[str, Any]:
    """An aggregate with its references: `domain`, `aggregate`, and `references` where there are some."""
    value: dict[str, Any] = {"domain": tree.domain, "aggregate": aggregate_value(tree.aggregate)}
    if tree.references:
        value["references"] = [_reference_value(one) for one in tree.references]
    return value


def _reference_value(one: Resolved) -> dict[str, Any]:
    reference = one.found.reference
    value: dict[str, Any] = {"path": one.found.field, "reference": reference._asdict(), "status": one.status}
    if one.target is not None:
        inner: dict[str, Any] = {"domain": reference.domain, "aggregate": aggregate_value(one.target.extra)}
        if one.below:
            inner["references"] = [_reference_value(below) for below in one.below]
        value["resolved"] = inner
    return value
