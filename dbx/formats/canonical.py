"""Canonical JSON (RFC 8785) out, strict I-JSON (RFC 7493) in: the one way JSON enters and leaves dbx.

Everything common runs in the C scanner and the C encoder of the standard library. Each shortcut below is one that
cannot be wrong: where a cheap test cannot tell, the exact code in `es6json` and `jsonfault` decides.

Values are None, bool, int within ±(2^53-1), float that is no such int, str, list, dict with str keys. Numbers come in
normalised (1.0 is 1, -0 is 0), so equal canonical texts give equal values of equal types.
"""

from __future__ import annotations

import re
from functools import cache
from json import encoder as _json_encoder
from json.decoder import JSONDecodeError, JSONDecoder
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Invalid
from dbx.formats import es6number

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

MAX_DEPTH = 64
"""How deep a payload may nest; `{}` is 1 (format.md §2)."""

_LINE_DEPTH = 2 * MAX_DEPTH
"""Enough for a payload with what dbx wraps around it."""

_SPACE = " \t\r\n"

# An escape that may yield a surrogate or a noncharacter: all of those begin with D or F, or come as surrogate pairs.
_RISKY_ESCAPE = r"\\u[dDfF]"
# The C encoder's text of a float of which ECMAScript's differs: 1e-05 to 9.9e-09 (0.00001, 9.9e-9). Below, both write
# two digits or more; above, both write decimals. Integral floats do not occur in parsed values below 1e21.
_TINY = 1e-4
_SMALL_FLOAT = r"[0-9]e-0[5-9](?:[,\]}]|$)"
# Code points sort unlike UTF-16 only between these and the astral ones, and the encoder writes both literally.
_ABOVE_SURROGATES = "[\ue000-\uffff]"
# Every noncharacter holds one of these in UTF-8: the last two of each plane, and U+FDD0 to U+FDEF.
_NONCHARACTER_MARKS = (b"\xbf\xbe", b"\xbf\xbf", b"\xef\xb7")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)  # on first use: most commands need none of them, and starting fast matters


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid("duplicate key")
    return found


def _same_fraction(literal: str) -> float:
    number = float(literal)
    if "e-0" in literal or (number.is_integer() and abs(number) < es6number.EXPONENT_FROM):
        raise ValueError
    return number


def _plain_fraction(literal: str) -> int | float:
    number = float(literal)
    if number.is_integer() or -_TINY < number < _TINY or number - number != 0.0:
        exact = es6number.parse_fraction(literal)
        if isinstance(exact, float):
            raise ValueError
        return exact
    return number


def _same_integer(literal: str) -> int:
    if len(literal) > 17 or abs(number := int(literal)) > es6number.MAX_SAFE:
        raise ValueError
    return number


def _refuse_type(value: object) -> NoReturn:
    raise TypeError(type(value).__name__)


def _make_writer() -> Callable[[Any, int], Any]:
    make = getattr(_json_encoder, "c_make_encoder", None)
    if make is None:
        slow = _json_encoder.JSONEncoder(
            ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        return lambda value, _level: slow.encode(value)
    pieces: Callable[[Any, int], Any] = make(
        None, _refuse_type, _json_encoder.encode_basestring, None, ":", ",", True, False, False
    )
    return pieces


def _make_scanner(**hooks: Any) -> Callable[[str, int], tuple[Any, int]]:
    decoder: Any = JSONDecoder(parse_constant=es6number.refuse_constant, **hooks)
    scan_once: Callable[[str, int], tuple[Any, int]] = decoder.scan_once
    return scan_once


chunks = _make_writer()
"""`chunks(value, 0)`: the C encoder itself. Who calls it makes the checks of `encode_scanned`, which is what a loop
over many values saves: the joined pieces are right where they hold no "e-0" (which values of `scan_plain` never do),
and are ASCII, or `may_misorder` says no."""
scan_once = _make_scanner(parse_int=es6number.parse_integer, parse_float=es6number.parse_fraction)
"""`scan_once(text, 0)`: the C scanner itself; the value and where it ends. Where it raises, or does not end with the
text, `scan` says what is wrong, if anything is."""
scan_plain = _make_scanner(parse_int=es6number.parse_integer, parse_float=_plain_fraction)
"""As `scan_once`, but a ValueError too for a number of which `chunks` makes another text than ECMAScript."""
scan_canonical = _make_scanner()
"""As `scan_once`, for canonical texts of which another text is to be made: numbers come as Python reads them."""
_scan_unique = _make_scanner(
    parse_int=es6number.parse_integer, parse_float=es6number.parse_fraction, object_pairs_hook=_unique
)
_scan_written = _make_scanner(parse_int=_same_integer, parse_float=_same_fraction)


def loads(data: bytes | str, *, what: str = "JSON", max_depth: int = MAX_DEPTH, first_line: int = 1) -> Any:
    """Parse one whole JSON text by the rules of format.md §2.

    `what` names the text in errors, `first_line` is the number of its first line. Raises Invalid, whose `details` hold
    `line` and `column` (from 1, in characters) where there is a place to point at.
    """
    text = data if isinstance(data, str) else _decode_utf8(data, what)
    value = _parse(_scan_unique, text, what, max_depth, first_line)
    if not _is_shallow(text, value, max_depth) or not _has_sound_characters(text, value):
        _refuse(text, what, max_depth, first_line)
    return value


def scan(text: str, *, what: str = "JSON") -> tuple[Any, bool]:
    """Parse one whole JSON text at the C scanner's speed: the hot path of imports.

    Checked here: grammar, NaN and Infinity, number ranges, raw control characters, nothing after the value.
    The second item says what remains for the caller:

    - True: the text is ASCII without a backslash, so every string in it is sound. There remain (a) duplicate keys:
      there is one exactly if `text` holds more '"' than the canonical text of the whole value (a caller that encodes
      parts adds up theirs, and two for each key and each string it does not encode); and (b) depth: nothing to do if
      `text.count("{") + text.count("[")` is within the limit, else compare `depth` of the part that is limited.
    - False: the same remains, and surrogates and noncharacters too, and counting quotes proves nothing.

    `check_rest` does all of what remains. Until then the value may go to `encode_scanned` but not to disk.
    Raises Invalid; call `loads` on the same text for the sentence with the line number of a file.
    """
    try:
        value, end = scan_once(text, 0)
    except (StopIteration, JSONDecodeError, Invalid, RecursionError):
        value, end = _parse(scan_once, text, what, _LINE_DEPTH, 1), len(text)
    if end != len(text) and text[end:].strip(_SPACE):
        value = _parse(scan_once, text, what, _LINE_DEPTH, 1)
    return value, text.isascii() and "\\" not in text


def check_rest(text: str, *, what: str = "JSON", max_depth: int = MAX_DEPTH, first_line: int = 1) -> None:
    """Make every check that `scan` leaves to its caller: duplicate keys, depth of the whole text, characters."""
    loads(text, what=what, max_depth=max_depth, first_line=first_line)


def encode_text(value: Any, *, what: str = "value") -> str:
    """The canonical text of any Python value that JSON can hold; tuples count as lists, 1.0 as 1.

    Raises Invalid naming the field otherwise: other types, keys that are no str, numbers that are not finite or whose
    text would be an integer beyond ±(2^53-1), surrogates, noncharacters.
    """
    return _render(value, what)[0]


def encode(value: Any, *, what: str = "value") -> bytes:
    """`encode_text` as UTF-8."""
    return _render(value, what)[0].encode()


def encode_scanned(value: Any, *, what: str = "value") -> str:
    """The canonical text of a value, or a part of one, that came from `scan`, `loads`, `decode` or `normalise`.

    Nothing is checked again, so for other values the text may be wrong. Raises Invalid where that shows (a surrogate or
    a depth beyond the stack, before `check_rest` was called), never another error.
    """
    try:
        text = "".join(chunks(value, 0))
    except RecursionError:
        return _write_exactly(value, what)
    if "e-0" in text and _compiled(_SMALL_FLOAT).search(text):
        return _write_exactly(value, what)
    if not text.isascii() and may_misorder(text):
        return _write_exactly(value, what)
    return text


def normalise(value: Any, *, what: str = "value", max_depth: int = MAX_DEPTH) -> Any:
    """A Python value made as if it had been sent as JSON: fresh, with plain types and normalised numbers."""
    text, parsed = _render(value, what)
    if not _is_shallow(text, parsed, max_depth):
        raise Invalid(f"{what} nests deeper than {max_depth}")
    return parsed


def decode(data: bytes, *, what: str = "stored JSON", max_depth: int = _LINE_DEPTH) -> Any:
    """Parse stored canonical bytes. Raises Corrupt unless encoding the value again gives the same bytes."""
    try:
        text = _decode_utf8(data, what)
        value = _parse(scan_once, text, what, max_depth, 1)
        if not _is_shallow(text, value, max_depth):
            _refuse(text, what, max_depth, 1)
        again = encode_scanned(value, what=what)
    except Invalid as fault:
        raise Corrupt(fault.message, details=fault.details) from None
    # A duplicate key, an escape that need not be one, a space: each makes the texts differ.
    if again != text or not (text.isascii() or is_sound(text)):
        raise Corrupt(f"{what} is not canonical")
    return value


def decode_lines(data: bytes, *, what: str = "stored JSON", max_depth: int = _LINE_DEPTH) -> list[Any]:
    """The values of stored canonical lines, each with its newline: what `decode` gives for each, in less time.

    Raises Corrupt without saying which line it is: `decode` tells.
    """
    values: list[Any] = []
    at = 0
    try:
        text = _decode_utf8(data, what)
        end = len(text)
        while at < end:
            value, at = scan_once(text, at)
            if text[at] != "\n":
                raise Corrupt(f"{what} is not canonical")
            at += 1
            values.append(value)
        again = encode_scanned(values, what=what)
    except (StopIteration, JSONDecodeError, Invalid, IndexError, RecursionError):
        raise Corrupt(f"{what} is not canonical") from None
    # No JSON text holds a newline, and of two JSON objects neither begins the other: so the lines are equal one by one.
    if again != f"[{text[:-1].replace(chr(10), ',')}]" or not (text.isascii() or is_sound(text)):
        raise Corrupt(f"{what} is not canonical")
    if text.count("{") + text.count("[") > max_depth:
        for line, value in zip(text.split("\n"), values, strict=False):
            if line.count("{") + line.count("[") > max_depth and depth(value) > max_depth:
                raise Corrupt(f"{what} nests too deep")
    return values


def depth(value: Any) -> int:
    """How deep a parsed value nests: 0 for a scalar, 1 for `{}` and `[]`."""
    levels = 0
    level = [value]
    while True:
        below: list[Any] = []
        nested = False
        for item in level:
            if isinstance(item, dict):
                nested = True
                below += item.values()
            elif isinstance(item, list):
                nested = True
                below += item
        if not nested:
            return levels
        levels += 1
        level = below


def _decode_utf8(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as fault:
        raise Invalid(
            f"{what} is not UTF-8: bad byte at offset {fault.start}", details={"offset": fault.start}
        ) from None


def _parse(
    scan_once: Callable[[str, int], tuple[Any, int]], text: str, what: str, max_depth: int, first_line: int
) -> Any:
    start = len(text) - len(text.lstrip(_SPACE)) if text[:1] in _SPACE else 0
    try:
        value, end = scan_once(text, start)
    except StopIteration as stop:
        at, reason = stop.value, "expecting a value"
    except JSONDecodeError as fault:
        at, reason = fault.pos, fault.msg
    except (Invalid, RecursionError):
        _refuse(text, what, max_depth, first_line)
    else:
        rest = "" if end == len(text) else text[end:].lstrip(_SPACE)
        if not rest:
            return value
        at, reason = len(text) - len(rest), "more follows after the value"
    from dbx.formats import jsonfault

    raise jsonfault.syntax_fault(text, at, reason, what=what, first_line=first_line)


def _refuse(text: str, what: str, max_depth: int, first_line: int) -> NoReturn:
    from dbx.formats import jsonfault

    fault = jsonfault.find_fault(text, what=what, max_depth=max_depth, first_line=first_line)
    # Without a fault to name, the C scanner ran out of stack: the text is nested, and so is whoever called us.
    raise fault or Invalid(f"{what} nests too deep")


def _is_shallow(text: str, value: Any, max_depth: int) -> bool:
    return text.count("{") + text.count("[") <= max_depth or depth(value) <= max_depth


def _has_sound_characters(text: str, value: Any) -> bool:
    if "\\u" in text and _compiled(_RISKY_ESCAPE).search(text):
        text = "".join(chunks(value, 0))  # the encoder writes what was escaped literally
    return text.isascii() or is_sound(text)


def is_sound(text: str) -> bool:
    """Whether a text holds neither surrogates nor noncharacters, as they stand: escapes are for others to look at."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return False  # a surrogate
    for mark in _NONCHARACTER_MARKS:
        if mark in data:
            from dbx.formats import es6json

            return es6json.describe_character(text) is None
    return True


def may_misorder(text: str) -> bool:
    """Whether `chunks` may have sorted the keys of a text otherwise than RFC 8785 does."""
    has_astral = len(text.encode("utf-16-le", "surrogatepass")) != 2 * len(text)
    return has_astral and _compiled(_ABOVE_SURROGATES).search(text) is not None


def _write_exactly(value: Any, what: str) -> str:
    from dbx.formats import es6json

    return es6json.write(value, what=what)


def _render(value: Any, what: str) -> tuple[str, Any]:
    fast = render_fast(value)
    if fast is not None:
        return fast
    text = _write_exactly(value, what)
    return text, scan_once(text, 0)[0]


def render_fast(value: Any) -> tuple[str, Any] | None:
    """The canonical text and the value it stands for, by the C encoder alone; None where that cannot tell.

    Then the value is not JSON, or is spelled otherwise than that encoder does it: `encode_text` and `normalise` decide.
    The value is a fresh one, and how deep it nests was not looked at.

    Parsing the text again shows what the encoder glosses over: keys that are no str (1 becomes "1"), tuples, and
    numbers that ECMAScript spells differently.
    """
    try:
        text = "".join(chunks(value, 0))
        parsed = _scan_written(text, 0)[0]
        same = bool(parsed == value)
    except (TypeError, ValueError, RecursionError, Invalid):
        return None  # the exact writer finds the same fault and names the field
    if not same or not (text.isascii() or (is_sound(text) and not may_misorder(text))):
        return None
    return text, parsed
