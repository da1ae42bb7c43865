"""Pieces of Graphviz' HTML-like labels. All text of users goes through `escaped` or `quoted`."""

from __future__ import annotations

import html

GREEN = "#00694A"  # forward values
RED = "#B33C00"  # gradients; italic too, so that they differ without colours
GREY = "#555555"
ALARM = "#B00020"  # what went wrong
# Fonts that Graphviz measures as wide as browsers set them. Of "Helvetica" it may take a wider one.
SANS = "Arial,Helvetica,sans-serif"
MONO = "Courier"
_LONGEST = 48  # characters of a name


def printable(text: str) -> str:
    """The text with what cannot be printed written as Python would: a newline as \\n."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clipped(text: str, longest: int = _LONGEST) -> str:
    """The text, its middle left out if it is long."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest * 2 // 3]}…{text[-longest // 3 + 1 :]}"


def escaped(text: str) -> str:
    """The text in an HTML-like label, which must not be empty."""
    return html.escape(clipped(text)) or "&#160;"


def quoted(text: str) -> str:
    """The text, which may have several lines, as a quoted attribute."""
    lines = [
        printable(line).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n")
    ]
    return '"' + "\\n".join(lines) + '"'


def font(inner: str, *, size: float | None = None, colour: str | None = None, face: str | None = None) -> str:
    """Text in a font; "" stays empty."""
    known = (("COLOR", colour), ("FACE", face), ("POINT-SIZE", size and f"{size:g}"))
    attributes = "".join(f' {name}="{value}"' for name, value in known if value)
    return f"<FONT{attributes}>{inner}</FONT>" if inner else ""


def stacked(lines: list[str], align: str = "") -> str:
    """Lines below each other."""
    end = f'<BR ALIGN="{align}"/>' if align else "<BR/>"
    return end.join(lines) + (end if align and lines else "")


def table(rows: list[str], *, padding: int = 1, spacing: int = 0, attributes: str = "") -> str:
    """A table without lines."""
    body = "".join(rows)
    return (
        f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="{spacing}" CELLPADDING="{padding}"{attributes}>{body}</TABLE>'
    )


def row(cells: list[str]) -> str:
    return "<TR>" + "".join(cells) + "</TR>"


def cell(inner: str, attributes: str = "") -> str:
    return f"<TD{attributes}>{inner}</TD>"


def heat_map(colours: list[list[str]], size: int) -> str:
    """A table of coloured cells, each `size` points wide; neighbours of one colour are one cell."""
    # A first row without height: Graphviz would guess the widths of columns that are never alone in a cell.
    rows = [row([f'<TD FIXEDSIZE="TRUE" WIDTH="{size}" HEIGHT="0"></TD>'] * len(colours[0]))]
    for line in colours:
        cells, start = [], 0
        for i in range(1, len(line) + 1):
            if i == len(line) or line[i] != line[start]:
                span = i - start
                wide = f' COLSPAN="{span}"' if span > 1 else ""
                colour = "" if line[start] == "#FFFFFF" else f' BGCOLOR="{line[start]}"'  # as the paper
                cells.append(f'<TD{wide}{colour} FIXEDSIZE="TRUE" WIDTH="{span * size}" HEIGHT="{size}"></TD>')
                start = i
        rows.append(row(cells))
    width, height = len(colours[0]) * size + 2, len(colours) * size + 2
    fixed = f'FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="{height}"'
    lines = "".join(rows)
    return f'<TABLE BORDER="1" COLOR="#999999" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" {fixed}>{lines}</TABLE>'
