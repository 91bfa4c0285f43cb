"""What the shell may complete: names in the repository, asked of ops.complete when there is one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dbx.errors import DbxError

if TYPE_CHECKING:
    from collections.abc import Callable

    import click
    from click.shell_completion import CompletionItem

VARIABLE = "_DBX_COMPLETE"


def complete_domain(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Domains of the repository."""
    return _items(ctx, "domain", incomplete)


def complete_type(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Aggregate types."""
    return _items(ctx, "type", incomplete)


def complete_id(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the aggregates whose type stands before, in a parameter named `aggregate_type`."""
    return _items(ctx, "id", incomplete, ctx.params.get("aggregate_type"))


def complete_ref(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tags, remotes' heads, HEAD."""
    return _items(ctx, "ref", incomplete)


def complete_remote(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Remotes of the domain."""
    return _items(ctx, "remote", incomplete)


def complete_source(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A domain, and behind an `@` a ref in it."""
    return _items(ctx, "source", incomplete)


def complete_schema(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Aggregate types that have a schema."""
    return _items(ctx, "schema", incomplete)


def complete_plugin(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Plugins, by name."""
    return _items(ctx, "plugin", incomplete)


def complete_word(words: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What completes one of the words in a tuple of model.plugin, such as MODES."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from dbx.model import plugin

        return [CompletionItem(word) for word in getattr(plugin, words) if word.startswith(incomplete)]

    return complete


def complete_schema_version(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Published versions of the schemas."""
    return _items(ctx, "version", incomplete)


def complete_schema_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The type, and behind it one of its events or fields, whichever the command is about."""
    words = list(ctx.params.get("words") or ())
    aggregate = ctx.params.get("aggregate") or (words.pop(0) if words else None)
    if aggregate is None:
        return complete_schema(ctx, param, incomplete)
    if words:
        return []
    is_field = param.metavar is not None and "FIELD" in param.metavar
    return _items(ctx, "field" if is_field else "event", incomplete, aggregate)


def complete_sort(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The fields that a list can be sorted by, those before a comma left alone."""
    from click.shell_completion import CompletionItem

    from dbx.model.sort import AGGREGATE_FIELDS, EVENT_FIELDS

    before, comma, begun = incomplete.rpartition(",")
    fields = EVENT_FIELDS if ctx.info_name == "events" else AGGREGATE_FIELDS
    return [CompletionItem(f"{before}{comma}{field}") for field in fields if field.startswith(begun)]


def answer(instruction: str) -> int:
    """Do what the shell's completion function asks: `bash_complete`, `zsh_complete`, `fish_complete`."""
    from click.shell_completion import shell_complete

    from dbx.cli.context import Options
    from dbx.cli.frame import root

    try:
        return shell_complete(root(), {"obj": Options()}, "dbx", VARIABLE, instruction)
    except (KeyError, ValueError):
        # Without COMP_WORDS and COMP_CWORD it was no shell that asked.
        return 1


def _items(ctx: click.Context, kind: str, prefix: str, extra: str | None = None) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from dbx.cli.context import Options, make_invocation

    try:
        invocation = make_invocation(ctx.find_object(Options) or Options())
        candidates = import_module("dbx.ops.complete").candidates
        start_dir = invocation.dbx_dir or invocation.start_dir
        names = candidates(start_dir, invocation.domain, kind, prefix, extra)
    except (ModuleNotFoundError, DbxError, OSError):
        # Under the user's fingers there is no place for a message; nothing is completed.
        return []
    return [CompletionItem(name) for name in names if name.startswith(prefix)]
