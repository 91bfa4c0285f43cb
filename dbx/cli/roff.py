"""Shows our manual pages where there is no man(1): the part of man(7) that they use, and no more.

Known: .TH .SH .SS .PP .TP .IP .RS .RE .nf .fi .EX .EE, the fonts .B .I .BR .RB .IR .RI .BI .IB, comments, and the
escapes \\fB \\fI \\fR \\fP \\- \\(em \\e \\& \\<blank>.
"""

from __future__ import annotations

import re

_STEP = 7
_SUBHEADING_INDENT = 3
_FONTS = {"B": "BB", "I": "II", "BR": "BR", "RB": "RB", "IR": "IR", "RI": "RI", "BI": "BI", "IB": "IB"}
_ANSI = {"B": "\x1b[1m", "I": "\x1b[4m"}
_ESCAPES = {"-": "-", "e": "\\", "&": "", " ": "\u00a0", "(em": "—", "(en": "–", "(aq": "'", "(dq": '"', "(bu": "•"}

_find_arguments = re.compile(r'"((?:[^"]|"")*)"?|(\S+)').finditer
_split_escapes = re.compile(r"\\(f.|\(..|.)").split


def render(source: str, *, width: int = 80, styled: bool = False) -> str:
    """The page in `source` as text for a terminal `width` columns wide; `styled` uses bold and underline."""
    page = _Page(max(width - 2, 20), styled)
    for line in source.splitlines():
        page.take(line)
    return page.finish()


class _Page:
    def __init__(self, width: int, styled: bool) -> None:
        self.width = width
        self.styled = styled
        self.out: list[str] = []
        # Words waiting for the end of their paragraph: what is printed, and how many columns it takes.
        self.words: list[tuple[str, int]] = []
        self.margins = [_STEP]
        self.hang = 0
        self.tag: tuple[str, int] | None = None
        self.tag_follows = False
        self.filling = True
        self.needs_gap = False
        self.below_heading = False
        self.footer = ""

    def take(self, line: str) -> None:
        """One line of the source."""
        if line.startswith((".", "'")):
            name, _, rest = line[1:].strip().partition(" ")
            if not name.startswith('\\"'):
                self.request(
                    name, [(m[1] or "").replace('""', '"') if m[2] is None else m[2] for m in _find_arguments(rest)]
                )
        elif not self.filling:
            self.put(self.margins[-1] + self.hang, self.style(line, "R"))
        elif not line.strip():
            self.paragraph()
        else:
            self.text([(line, "R")])

    def request(self, name: str, arguments: list[str]) -> None:
        if name in _FONTS:
            fonts = _FONTS[name]
            if fonts[0] == fonts[1]:
                self.text([(" ".join(arguments), fonts[0])])
            else:
                self.text([(argument, fonts[i % 2]) for i, argument in enumerate(arguments)])
        elif name in ("SH", "SS"):
            self.paragraph()
            self.margins = [_STEP]
            heading = " ".join(arguments)
            self.put(_SUBHEADING_INDENT if name == "SS" else 0, self.style(heading, "B"))
            self.below_heading = True
        elif name in ("TP", "IP"):
            self.paragraph()
            size = arguments[name == "IP" :][:1]
            self.hang = int(size[0]) if size and size[0].isdigit() else _STEP
            self.tag_follows = name == "TP"
            if name == "IP" and arguments:
                self.tag = self.style(arguments[0], "R")
        elif name in ("nf", "EX"):
            self.flush()
            self.filling = False
        elif name in ("fi", "EE"):
            self.filling = True
        elif name == "RS":
            self.flush()
            self.margins.append(self.margins[-1] + (int(arguments[0]) if arguments else self.hang or _STEP))
            self.hang = 0
        elif name == "RE":
            self.flush()
            self.margins = self.margins[:-1] or [_STEP]
        elif name == "TH":
            title, section, date, version = (*map(plain, arguments), "", "", "", "")[:4]
            self.out.append(
                f"{title}({section})".ljust(self.width - len(title) - len(section) - 2) + f"{title}({section})"
            )
            self.needs_gap = True
            self.footer = version + date.rjust(self.width - len(version))
        else:
            self.paragraph()

    def text(self, parts: list[tuple[str, str]]) -> None:
        """One line of running text, made of parts in different fonts; blanks in it separate words."""
        if not self.filling:
            styled = [self.style(text, font) for text, font in parts]
            self.put(self.margins[-1] + self.hang, ("".join(s for s, _ in styled), sum(n for _, n in styled)))
            return
        words: list[tuple[str, int]] = []
        glue = False
        for text, font in parts:
            for i, piece in enumerate(re.split(r" +", self.fonts_closed_at_blanks(text, font))):
                shown, columns = self.style(piece, font)
                if i == 0 and glue and words:
                    words[-1] = (words[-1][0] + shown, words[-1][1] + columns)
                else:
                    words.append((shown, columns))
            glue = True
        words = [word for word in words if word[1]]
        if self.tag_follows:
            self.tag = (" ".join(s for s, _ in words), sum(n for _, n in words) + len(words) - 1)
            self.tag_follows = False
        else:
            self.words += words

    @staticmethod
    def fonts_closed_at_blanks(text: str, font: str) -> str:
        """`text` with its font named again after every blank, so that it can be cut into words."""
        pieces = re.split(r"(\\f.| +)", text.replace("\\ ", "\u00a0"))
        for i, piece in enumerate(pieces):
            if piece.startswith("\\f"):
                font = piece[2]
            elif piece.startswith(" ") and i:
                pieces[i] = f" \\f{font}"
        return "".join(pieces)

    def style(self, text: str, font: str) -> tuple[str, int]:
        """`text` without escapes, in its fonts, and how many columns it takes."""
        runs = [[font, ""]]
        for i, piece in enumerate(_split_escapes(text)):
            if i % 2 and piece[0] == "f":
                runs.append(["R" if piece[1] == "P" else piece[1], ""])
            else:
                runs[-1][1] += _ESCAPES.get(piece, piece) if i % 2 else piece
        columns = sum(len(text) for _, text in runs)
        shown = "".join(f"{_ANSI[f]}{text}\x1b[0m" if self.styled and text and f in _ANSI else text for f, text in runs)
        return shown.replace("\u00a0", " "), columns

    def paragraph(self) -> None:
        """End the paragraph; the next one begins after an empty line."""
        self.flush()
        self.hang = 0
        self.tag_follows = False
        self.needs_gap = bool(self.out) and not self.below_heading

    def flush(self) -> None:
        """Print the words that wait, with the tag before them."""
        indent = self.margins[-1] + self.hang
        if self.tag is not None:
            tag, columns = self.tag
            self.tag = None
            if columns < self.hang and self.words:
                # The tag has room in the margin of its paragraph.
                first, self.words = self.fill(self.words, self.width - indent)
                self.put(self.margins[-1], (tag + " " * (self.hang - columns) + first, 0))
            else:
                self.put(self.margins[-1], (tag, columns))
        while self.words:
            line, self.words = self.fill(self.words, self.width - indent)
            self.put(indent, (line, 0))

    @staticmethod
    def fill(words: list[tuple[str, int]], width: int) -> tuple[str, list[tuple[str, int]]]:
        """As many words as fit on one line, at least one, and the rest."""
        used, count = words[0][1], 1
        while count < len(words) and used + 1 + words[count][1] <= width:
            used += 1 + words[count][1]
            count += 1
        return " ".join(shown for shown, _ in words[:count]), words[count:]

    def put(self, indent: int, text: tuple[str, int]) -> None:
        if self.needs_gap:
            self.out.append("")
            self.needs_gap = False
        self.below_heading = False
        self.out.append((" " * indent + text[0]).rstrip())

    def finish(self) -> str:
        self.flush()
        if self.footer:
            self.out += ["", self.footer]
        return "\n".join(self.out) + "\n"


def plain(text: str) -> str:
    """`text` without escapes and fonts."""
    return "".join(
        _ESCAPES.get(p, "" if p[0] == "f" else p) if i % 2 else p for i, p in enumerate(_split_escapes(text))
    )
