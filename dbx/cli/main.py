"""Runs one command line and tells how it ended."""

from __future__ import annotations

import re
import sys

import click

from dbx.cli import frame
from dbx.cli.context import Options, completion_instruction
from dbx.cli.report import conclude
from dbx.errors import UsageError


def main(arguments: list[str], commands: str = frame.COMMANDS) -> int:
    """Run `dbx` with `arguments` (without the program's name); returns the exit status. Raises nothing.

    `commands` is the package that holds the commands.
    """
    for stream in (sys.stdout, sys.stderr):
        # Our output is UTF-8 in every locale; file names that are not, are escaped instead of failing.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    instruction = completion_instruction()
    if instruction is not None:
        from dbx.cli.complete import answer

        return answer(instruction)
    options = Options()
    try:
        with frame.root(commands).make_context("dbx", list(arguments), obj=options) as ctx:
            result = ctx.command.invoke(ctx)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        return conclude(KeyboardInterrupt(), arguments)
    except click.UsageError as error:
        return conclude(_in_our_voice(error), arguments)
    except click.ClickException as error:
        return conclude(UsageError(_sentence(error.format_message())), arguments)
    except BaseException as error:
        return conclude(error, arguments, as_json=_as_json(options, arguments))


_VALUE_FAULTS = (
    (r"is not a valid integer(?: range)?$", "is not a whole number"),
    (r"is not a valid float(?: range)?$", "is not a number"),
    (r"is not a valid boolean\..*$", "is neither true nor false"),
    (r"is not in the range x>=(\S+)$", r"is less than \1"),
    (r"is not in the range x<=(\S+)$", r"is more than \1"),
    (r"is not in the range (\S+)<=x<=(\S+)$", r"is not from \1 to \2"),
)


def _as_json(options: Options, arguments: list[str]) -> bool | None:
    # Once everything is parsed we know whether --json was an option or another's value; --jsonl is of some commands.
    return options.json if options.parsed and "--jsonl" not in arguments else None


def _in_our_voice(error: click.UsageError) -> UsageError:
    command = frame.path_of(error.ctx) if error.ctx else "dbx"
    hint: str | None = f"run '{command} --help' to see how it is used"
    if isinstance(error, click.NoSuchOption):
        spelled = [name for param in error.ctx.command.params for name in param.opts] if error.ctx else []
        close = frame.suggest(error.option_name, [name for name in spelled if name.startswith("--")])
        return UsageError(f"unknown option '{error.option_name}' for '{command}'", hint=close or hint)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        kind = "option" if isinstance(error.param, click.Option) else "argument"
        return UsageError(f"'{command}' needs the {kind} '{_name(error.param)}'", hint=hint)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return UsageError(f"bad value for '{_name(error.param)}': {_value_fault(error.message)}", hint=hint)
    return UsageError(_sentence(error.format_message()), hint=hint)


def _name(param: click.Parameter) -> str:
    return max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name


def _value_fault(text: str) -> str:
    """What click says of a bad value, in words for people: its ranges are inequalities."""
    text = _sentence(text)
    for pattern, words in _VALUE_FAULTS:
        text = re.sub(pattern, words, text)
    return text


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]
