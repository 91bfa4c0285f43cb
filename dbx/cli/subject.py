"""Which aggregate a command is about: `TYPE ID`, or `--aggregate TYPE --aggregate-id ID` as EventDBX documents it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from dbx.cli import complete, params
from dbx.cli.frame import path_of
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

    F = TypeVar("F", bound=Callable[..., Any])


def subject_options(metavar: str) -> Callable[[F], F]:
    """Decorator: the arguments `words`, and the options `aggregate_type` and `aggregate_id` that may replace some."""

    def decorate(function: F) -> F:
        function = click.option(
            "--aggregate-id",
            metavar="ID",
            shell_complete=_complete_id,
            help="The aggregate's id, instead of the argument.",
        )(function)
        function = click.option(
            "--aggregate",
            "aggregate_type",
            metavar="TYPE",
            shell_complete=complete.complete_type,
            help="The aggregate's type, instead of the argument.",
        )(function)
        return click.argument("words", nargs=-1, metavar=metavar, shell_complete=_complete)(function)

    return decorate


def type_options(function: F) -> F:
    """Decorator: the argument `aggregate_type`, and the option `named_type` that may replace it; for `take_type`."""
    function = click.option(
        "--aggregate",
        "named_type",
        metavar="TYPE",
        type=params.TYPE,
        help="The aggregates' type, instead of the argument.",
    )(function)
    return click.argument("aggregate_type", metavar="[TYPE]", type=params.TYPE, required=False)(function)


def take_type(aggregate_type: str | None, named_type: str | None) -> str | None:
    """The type that was given either way, None for none. Raises UsageError for two."""
    if aggregate_type is not None and named_type is not None:
        raise UsageError("the type is given twice, as an argument and with --aggregate")
    return named_type if aggregate_type is None else aggregate_type


def take_subject(
    words: Sequence[str], aggregate_type: str | None, aggregate_id: str | None
) -> tuple[str, str, list[str]]:
    """(type, id, the words that are left). Raises UsageError when one is missing, Invalid for what is no name."""
    from dbx.model import names

    rest = list(words)
    kind = take_word(rest, aggregate_type, "aggregate type")
    name = take_word(rest, aggregate_id, "aggregate id")
    return names.check_type(kind), names.check_id(name), rest


def take_word(rest: list[str], given: str | None, what: str) -> str:
    """What an option gave, else the next of the words, which is taken off. Raises UsageError."""
    if given is not None:
        return given
    if not rest:
        command = path_of(click.get_current_context())
        raise UsageError(f"'{command}' needs the {what}", hint=f"run '{command} --help' to see how it is used")
    return rest.pop(0)


def join_subject(words: Sequence[str], aggregate_type: str | None, aggregate_id: str | None) -> str:
    """`TYPE/ID` of whatever was given: one word that stays as it is, `TYPE ID`, or the options. Raises UsageError."""
    rest = list(words)
    if aggregate_type is None and aggregate_id is None and len(rest) == 1:
        return rest[0]
    kind = take_word(rest, aggregate_type, "aggregate type")
    name = take_word(rest, aggregate_id, "aggregate id")
    refuse_rest(rest)
    return f"{kind}/{name}"


def refuse_rest(rest: Sequence[str]) -> None:
    """Raise UsageError when words are left over."""
    if rest:
        command = path_of(click.get_current_context())
        raise UsageError(f"unexpected argument '{rest[0]}' for '{command}'", hint=f"run '{command} --help'")


def _complete_id(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    words = ctx.params.get("words") or (None,)
    ctx.params["aggregate_type"] = ctx.params.get("aggregate_type") or words[0]
    return complete.complete_id(ctx, param, incomplete)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    words = list(ctx.params.get("words") or ())
    kind = ctx.params.get("aggregate_type") or (words.pop(0) if words else None)
    if kind is None:
        return complete.complete_type(ctx, param, incomplete)
    if words or ctx.params.get("aggregate_id"):
        return []
    ctx.params["aggregate_type"] = kind
    return complete.complete_id(ctx, param, incomplete)
