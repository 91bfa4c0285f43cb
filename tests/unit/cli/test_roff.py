import pytest

from dbx.cli.roff import render

PAGE = r""".\" a comment
.TH DBX\-X 1 "2026\-11\-23" "dbx 0.1" "dbx manual"
.SH NAME
dbx\-x \- an example
.SH OPTIONS
.TP
.BR \-d ", " \-\-domain " " \fINAME\fR
Work on
.I NAME
(see
.BR dbx\-y (7)).
.TP 4
\fBa\fR
short
.IP \- 3
dash
.SS Below a heading
One two three four five six seven eight nine ten eleven twelve thirteen.
Words are filled into lines\(emthen they end.
.PP
.EX
  kept   as it \efis\&
.EE
.RS
.PP
inside
.RE
outside
.nf
x
 y
.fi
"""

SHOWN = """\
DBX-X(1)                                        DBX-X(1)

NAME
       dbx-x - an example

OPTIONS
       -d, --domain NAME
              Work on NAME (see dbx-y(7)).

       a   short

       -  dash

   Below a heading
       One two three four five six seven eight nine ten
       eleven twelve thirteen. Words are filled into
       lines—then they end.

         kept   as it \\fis

              inside
       outside
       x
        y

dbx 0.1                                       2026-11-23
"""


def test_a_page() -> None:
    assert render(PAGE, width=58) == SHOWN


def test_fonts_are_ansi_and_take_no_room() -> None:
    shown = render(PAGE, width=58, styled=True)
    assert "\x1b[1mNAME\x1b[0m\n" in shown
    assert "       \x1b[1m-d\x1b[0m, \x1b[1m--domain\x1b[0m \x1b[4mNAME\x1b[0m\n" in shown
    for code in ("\x1b[1m", "\x1b[4m", "\x1b[0m"):
        shown = shown.replace(code, "")
    assert shown == SHOWN


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ('.B "two words"', "two words"),
        ('.BI a "b ""c"""', 'ab "c"'),
        (".RI [ x ]", "[x]"),
        (r"tie\ d \fIa b\fP c", "tie d a b c"),
        ("", ""),
        (".SH", ""),
        (".unknown request", ""),
        (".RE\nx", "x"),
        (".TP", ""),
        (".RS 4\nx", "x"),
        ("back\\", "back\\"),
        (".TP\n.B tag\n.PP\nnext", "tag\n\nnext"),
    ],
)
def test_odd_lines(source: str, shown: str) -> None:
    assert "\n".join(line.strip() for line in render(source).strip().split("\n")) == shown


def test_a_word_longer_than_the_line_stands_alone() -> None:
    assert render("a " + "x" * 100 + " b", width=40).split("\n")[:3] == ["       a", "       " + "x" * 100, "       b"]
