"""The options of `dbx schema field`, EventDBX's words: one for each rule, and one that takes the rule away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.schemashapes import split_list
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.schemachange import FieldChange

_MAX_JSON_BYTES = 256 * 1024
_CLEARABLE = (
    "format", "contains", "does_not_contain", "regex", "length", "range", "properties", "reference", "description"
)  # fmt: skip
_JSON = params.Json("rules", _MAX_JSON_BYTES)
_PROPERTIES = params.Json("properties", _MAX_JSON_BYTES)


def field_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: every option, for `make_change`."""
    options = [
        click.option("--type", metavar="TYPE", help="The column's type; 'reference' for a reference."),
        click.option("--clear-type", is_flag=True, help="Remove the column."),
        click.option("--rules", metavar="JSON|@FILE|-", type=_JSON, help="All rules anew, as one object."),
        click.option("--clear-rules", is_flag=True, help="Drop all rules; the type stays."),
        click.option("--required/--not-required", default=None, help="Every event that may set it must."),
        click.option("--required-on-create", is_flag=True, help="The first event of an aggregate must set it."),
        click.option("--format", metavar="FORMAT", help="What text must look like: email, url, iso_8601…"),
        click.option("--contains", metavar="TEXT[,TEXT]", multiple=True, help="What text must contain."),
        click.option("--does-not-contain", metavar="TEXT[,TEXT]", multiple=True, help="What it must not contain."),
        click.option("--regex", metavar="PATTERN", multiple=True, help="A pattern that text must match. Repeatable."),
        click.option("--length-min", metavar="N", type=click.IntRange(min=0), help="The least length."),
        click.option("--length-max", metavar="N", type=click.IntRange(min=0), help="The greatest length."),
        click.option("--range-min", metavar="VALUE", help="The least value."),
        click.option("--range-max", metavar="VALUE", help="The greatest value."),
        click.option("--properties", metavar="JSON|@FILE|-", type=_PROPERTIES, help="The columns of an object."),
        click.option("--reference-integrity", type=click.Choice(["strong", "weak"]), help="Whether it must be there."),
        click.option("--reference-tenant", "--reference-domain", metavar="DOMAIN", help="The domain it must be in."),
        click.option("--reference-aggregate", metavar="TYPE", help="The type it must have."),
        click.option(
            "--reference-cascade",
            type=click.Choice(["none", "restrict", "nullify"]),
            help="What happens when it is archived.",
        ),
        click.option("--description", metavar="TEXT", help="What the field means."),
        click.option("--pii/--not-pii", default=None, help="It holds personal data."),
        click.option("--lock/--unlock", default=None, help="No event may set it."),
    ]
    for rule in _CLEARABLE:
        options.append(click.option(f"--clear-{rule.replace('_', '-')}", is_flag=True, help=f"Drop the rule {rule}."))
    for option in reversed(options):
        function = option(function)
    return function


def make_change(given: dict[str, Any]) -> FieldChange:
    """What the options ask for. Raises UsageError where they contradict each other."""
    from dbx.model.schemachange import FieldChange

    rules: dict[str, Any] = {}
    for rule in ("format", "description", "properties"):
        if given[rule] is not None:
            rules[rule] = given[rule]
    for rule in ("contains", "does_not_contain"):
        if given[rule]:
            rules[rule] = split_list(given[rule])
    if given["regex"]:
        rules["regex"] = list(given["regex"])
    clear = {rule for rule in _CLEARABLE if given[f"clear_{rule}"]}
    _set_words(given, rules, clear)
    bounds = {
        rule: ends
        for rule, read in (("length", _as_is), ("range", _number))
        if (ends := {end: read(v) for end in ("min", "max") if (v := given[f"{rule}_{end}"]) is not None})
    }
    reference = {
        word: given[f"reference_{option}"]
        for word, option in (
            ("integrity", "integrity"), ("domain", "tenant"), ("aggregate", "aggregate"), ("cascade", "cascade")
        )
        if given[f"reference_{option}"] is not None
    }  # fmt: skip
    if both := sorted(clear & {*rules, *bounds}):
        raise UsageError(f"'{both[0]}' is set and cleared at once")
    whole = given["rules"]
    if whole is not None and (rules or bounds or reference or clear or given["clear_rules"]):
        raise UsageError("--rules gives all rules at once; it cannot be combined with single rules")
    if whole is not None and not isinstance(whole, dict):
        raise UsageError("--rules takes a JSON object")
    if given["type"] is not None and given["clear_type"]:
        raise UsageError("--type cannot be combined with --clear-type")
    return FieldChange(
        given["type"], given["clear_type"], whole, given["clear_rules"], rules, bounds, reference,
        frozenset(clear), given["lock"],
    )  # fmt: skip


def _set_words(given: dict[str, Any], rules: dict[str, Any], clear: set[str]) -> None:
    if given["required_on_create"]:
        if given["required"] is not None:
            raise UsageError("--required-on-create goes with neither --required nor --not-required")
        rules["required"] = "create"
    for word in ("required", "pii"):
        if given[word]:
            rules[word] = True
        elif given[word] is not None:
            clear.add(word)


def _as_is(value: Any) -> Any:
    return value


def _number(text: str) -> int | float | str:
    """An end of a range: a number where it is one, else text, as for times and decimals with trailing zeros."""
    try:
        return int(text) if len(text) < 16 else text
    except ValueError:
        return text
