"""How schemas and their versions look, as JSON and as text; and the words that the schema commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import complete, params
from dbx.cli.subject import refuse_rest, take_word
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.formats.envelope import Actor
    from dbx.model.schema import Schema
    from dbx.repo.schema.published import Published

SHORT = 12
"""Hex digits of a version's id in listings."""


def schema_value(schema: Schema) -> dict[str, Any]:
    """A schema with every member, `columns` and `events` as in its file."""
    from dbx.model.schema import to_value

    return to_value(schema)


def version_value(published: Published, *, active: bool) -> dict[str, Any]:
    """A published version: its id and the members of its file (format.md §10)."""
    version = published.version
    actor = None if version.actor is None else {"group": version.actor.group, "user": version.actor.user}
    return {
        "id": published.id,
        "parent": version.parent,
        "published_at": version.published_at,
        "actor": actor,
        "reason": version.reason,
        "labels": list(version.labels),
        "schemas": version.schemas,
        "active": active,
    }


def split_list(values: Sequence[str]) -> list[str]:
    """What repeated options and commas in them list: `-e a,b -e c` is a, b, c."""
    return [part.strip() for value in values for part in value.split(",")]


def parse_actor(text: str | None) -> Actor | None:
    """`group:user` or `user`, as DBX_ACTOR has it. Raises Invalid."""
    if text is None:
        return None
    from dbx.errors import Invalid
    from dbx.formats.envelope import Actor, is_actor_text
    from dbx.ops.session import GROUP

    group, colon, user = text.partition(":")
    actor = Actor(group, user) if colon else Actor(GROUP, group)
    if not (is_actor_text(actor.group) and is_actor_text(actor.user)):
        raise Invalid("the actor must be 'group:user' or 'user', each of 1 to 128 characters")
    return actor


def aggregate_words(metavar: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the arguments `words`, the first of which is the aggregate type, or the option `aggregate`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option("--aggregate", metavar="TYPE", help="The aggregate type, instead of the argument.")(
            function
        )
        return click.argument("words", nargs=-1, metavar=metavar, shell_complete=complete.complete_schema_words)(
            function
        )

    return decorate


def take_aggregate(words: Sequence[str], aggregate: str | None) -> tuple[str, list[str]]:
    """(the aggregate type, the words that are left). Raises UsageError, Invalid."""
    from dbx.model.names import check_type

    rest = list(words)
    return check_type(take_word(rest, aggregate, "aggregate type")), rest


def field_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `words` and the options `aggregate` and `field`, for `take_field`."""
    function = click.option("--field", metavar="FIELD", help="The field, instead of the argument.")(function)
    return aggregate_words("TYPE [FIELD]")(function)


def take_field(words: Sequence[str], aggregate: str | None, field: str | None) -> tuple[str, str | None, str]:
    """(aggregate type, field or None for all of it, both as they are told). Raises UsageError, Invalid."""
    kind, rest = take_aggregate(words, aggregate)
    name = field if field is not None else rest.pop(0) if rest else None
    refuse_rest(rest)
    if name is not None and not name.strip():
        raise UsageError("the field is empty")
    return kind, name, f"aggregate={kind}" if name is None else f"aggregate={kind} field={name}"


def take_last(rest: list[str], given: str | None, what: str) -> str:
    """What an option gave, or the one word that is left. Raises UsageError."""
    word = take_word(rest, given, what)
    refuse_rest(rest)
    return word


def reason_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options `reason` and `actor` of what makes a version."""
    function = click.option("--actor", metavar="[GROUP:]USER", help="Who publishes, if not who is acting.")(function)
    return click.option("--reason", metavar="TEXT", help="Why, in one line.")(function)


def domain_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the optional argument `domain`, as EventDBX has it."""
    return click.argument("domain", metavar="[DOMAIN]", required=False, type=params.DOMAIN)(function)
