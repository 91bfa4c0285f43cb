"""What options and arguments may say: a name against its grammar is Invalid (5), a misspelled option usage (2)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from dbx.cli import complete
from dbx.errors import Failure, Invalid, UsageError
from dbx.model.missing import no_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, TypeVar

    from click.shell_completion import CompletionItem

    from dbx.cli.context import Invocation

    F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    _ParamType = click.ParamType
else:

    class _ParamType(click.ParamType):
        def __class_getitem__(cls, _of):
            # ParamType says what it converts to since click 8.4; older ones are the same without.
            return cls


MAX_SECRET_BYTES = 64 * 1024
STDIN_CLAIM = "dbx.stdin"


class _Name(_ParamType[str]):
    """A name with a check in model.names, imported when the first one is met."""

    def __init__(self, name: str, check: str | None, completer: Callable[..., list[CompletionItem]] | None) -> None:
        self.name = name
        self._check = check
        self._completer = completer

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if self._check is not None:
            from dbx.model import names

            checked: str = getattr(names, self._check)(value)
            return checked
        if not value:
            raise UsageError(f"the {self.name} is empty")
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return self._completer(ctx, param, incomplete) if self._completer else []


class _Field(_ParamType[tuple[str, Any]]):
    name = "field"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        is_json = key.endswith(":")
        key = key.removesuffix(":").strip()
        if not equals or not key:
            raise UsageError(
                "a field is written KEY=VALUE, or KEY:=JSON for a number, a boolean, null, an array or an object"
            )
        if not is_json:
            return key, text.strip()
        from dbx.formats import canonical
        from dbx.model.names import quote

        return key, canonical.loads(text, what=f"field {quote(key)}")


class Json(_ParamType[Any]):
    """A JSON value, `@FILE` with one, or `-` for standard input; at most `max_bytes`, strict (format.md §2)."""

    name = "json"

    def __init__(self, what: str, max_bytes: int, shape: str = "a JSON object") -> None:
        self.what = what
        self.max_bytes = max_bytes
        self.shape = shape

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        from dbx.formats import canonical

        data = self._read(value, ctx)
        if len(data) > self.max_bytes:
            raise Invalid(f"the {self.what} has more than {self.max_bytes} bytes")
        found = canonical.loads(data, what=self.what)
        if found is None:
            # To click None is an option that was not given.
            raise Invalid(f"the {self.what} must be {self.shape}")
        return found

    def _read(self, value: str, ctx: click.Context | None) -> bytes:
        if value == "-":
            claim_stdin(ctx, f"the {self.what}")
            return sys.stdin.buffer.read(self.max_bytes + 1)
        if value.startswith("@"):
            return read_bounded(value[1:], self.max_bytes + 1)
        return value.encode("utf-8", "surrogateescape")


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class _Duration(_ParamType[int]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        from dbx.model.time import parse_duration

        try:
            return parse_duration(value)
        except Invalid as error:
            raise UsageError(error.message, hint=error.hint) from None


class _Number(_ParamType[float]):
    def __init__(self, name: str, of: str) -> None:
        self.name = name
        self._of = of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, str):
            if not value.isascii() or not value.replace(".", "", 1).isdigit() or len(value) > 12:
                self.fail(f"it must be a number of {self._of}, as in 10 or 0.5", param, ctx)
            value = float(value)
        return float(value)


class _Size(_ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        digits, unit = (value[:-1], value[-1:].upper()) if value[-1:].isalpha() else (value, "")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 12 or unit not in _UNITS:
            self.fail("it must be a number of bytes, or a number with K, M or G", param, ctx)
        return int(digits) * _UNITS[unit]


class _Directory(_ParamType[str]):
    name = "directory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value or "\0" in value:
            self.fail("it must name a directory", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


class _Secret(_ParamType[str]):
    """A token or key; `-` reads its first line from standard input, so that it need not stand on the command line."""

    name = "secret"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != "-":
            return str(value)
        claim_stdin(ctx, f"the {param.name}" if param is not None else "the secret")
        return _first_line(sys.stdin.buffer.readline(MAX_SECRET_BYTES + 1), "standard input")


DOMAIN = _Name("domain", "check_domain_name", complete.complete_domain)
TYPE = _Name("aggregate type", "check_type", complete.complete_type)
ID = _Name("aggregate id", "check_id", complete.complete_id)
EVENT_TYPE = _Name("event type", "check_event_type", None)
REF = _Name("ref", None, complete.complete_ref)
FIELD = _Field()
DURATION = _Duration()
SECONDS = _Number("seconds", "seconds")
RATE = _Number("rate", "deliveries a second")
SIZE = _Size()
DIRECTORY = _Directory()
SECRET = _Secret()


def out_option(text: str) -> Callable[[F], F]:
    """Decorator: the option `out`, where a command writes its result. `text` is what --help says of it."""
    return click.option("--out", "--output", "-o", "out", metavar="FILE", help=text)


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def fields_of(pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The payload that repeated --field options make; a repeated key keeps its last value, as in EventDBX."""
    return dict(pairs)


def claim_stdin(ctx: click.Context | None, what: str) -> None:
    """Standard input can be read once: the second option that says `-` is refused."""
    if ctx is None:
        return
    first = ctx.meta.setdefault(STDIN_CLAIM, what)
    if first != what:
        raise UsageError(f"{first} and {what} cannot both be read from standard input")


def find_input(invocation: Invocation, path: str, what: str) -> str | BinaryIO:
    """The path of a file as the user meant it, or standard input for `-`."""
    if path == "-":
        claim_stdin(click.get_current_context(), what)
        return sys.stdin.buffer
    return os.path.normpath(os.path.join(invocation.start_dir, path))


def open_input(path: str) -> BinaryIO:
    """A file that somebody named, to read from. Raises NotFound."""
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise no_file(path) from None


def read_bounded(path: str, max_bytes: int) -> bytes:
    """At most the first `max_bytes` bytes of the file at `path`. Raises NotFound."""
    with open_input(path) as file:
        return file.read(max_bytes)


def read_input(ctx: click.Context | None, path: str, max_bytes: int, what: str) -> bytes:
    """A whole file, or standard input for `-`. Raises Invalid for more than `max_bytes`."""
    if path == "-":
        claim_stdin(ctx, what)
        data = sys.stdin.buffer.read(max_bytes + 1)
    else:
        data = read_bounded(path, max_bytes + 1)
    if len(data) > max_bytes:
        raise Invalid(f"{what} has more than {max_bytes} bytes")
    return data


def read_secret_file(path: str) -> str:
    """The secret in the first line of a file."""
    return _first_line(read_bounded(path, MAX_SECRET_BYTES + 1), path)


def find_secret(invocation: Invocation, given: str | None, file: str | None, name: str) -> str | None:
    """A token or key: `given` (through SECRET), else in `file`, else `name` in the environment, else in `name`_FILE."""
    if given is not None and file is not None:
        raise UsageError("give the secret or the file that holds it, not both")
    if given is not None:
        return given
    if file is not None:
        return read_secret_file(file)
    if value := invocation.environment.get(name):
        return value
    path = invocation.environment.get(f"{name}_FILE")
    return read_secret_file(path) if path else None


def confirm(invocation: Invocation, consequence: str, *, yes: bool) -> None:
    """Ask before something is destroyed. `consequence` says what and how much: "this drops 12 staged events".

    Raises UsageError without a terminal and without --yes, Failure when the answer is no.
    """
    if yes:
        return
    if not (invocation.stdin_tty and invocation.stderr_tty):
        raise UsageError(f"{consequence}, and there is no terminal to ask on", hint="say --yes if that is meant")
    from dbx.cli.report import say
    from dbx.cli.text import escape

    say(f"dbx: {escape(consequence)}. Go on? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was done")


def _first_line(data: bytes, source: str) -> str:
    line = data.split(b"\n", 1)[0].strip()
    if not line:
        raise UsageError(f"no secret in {_quoted(source)}")
    if len(line) > MAX_SECRET_BYTES or not line.isascii():
        raise Invalid(f"what {_quoted(source)} holds is no token and no key")
    return line.decode("ascii")


def _quoted(source: str) -> str:
    return source if source == "standard input" else f"'{source}'"
