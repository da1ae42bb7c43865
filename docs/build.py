"""Write what is made by running code: the pages of the worked examples, and the pictures of the gallery and tutorial.

python docs/build.py

A page in docs/worked/ has a title, a text and a program, all written by hand. The program leaves an `explanation`; its
Markdown is what stands below the line that says so. The pictures of the gallery are those of examples/gallery.py, and
those beside the pages of the tutorial are written by the programs on these pages.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tensorgraph import Explanation

DOCS = Path(__file__).resolve().parent
PAGES = sorted((DOCS / "worked").glob("*.md"))
LINE = re.compile(r"^<!-- What follows is written by docs/build\.py: .* -->\n", re.MULTILINE)
PROGRAM = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
TUTORIAL = sorted((DOCS / "tutorial").glob("*.md"))
PICTURE = re.compile(r"^!\[.*\]\(([\w-]+\.\w+)\)$", re.MULTILINE)  # beside the page


def explanation(page: Path) -> Explanation:
    """What the page's program leaves."""
    program = PROGRAM.search(page.read_text(encoding="utf-8"))
    if program is None:
        raise ValueError(f"{page}: needs a program")
    namespace: dict[str, Any] = {"__name__": "__page__"}
    exec(compile(program[1], str(page), "exec"), namespace)
    return namespace["explanation"]


def built(page: Path) -> str:
    """The page as it should be: the part written by hand as it is, the other made anew."""
    text = page.read_text(encoding="utf-8")
    line = LINE.search(text)
    if line is None:
        raise ValueError(f"{page}: needs the line that says what follows")
    return f"{text[: line.end()]}\n{explanation(page).to_markdown().rstrip()}\n"


def draw(folder: Path) -> None:
    """Write the pictures of the gallery into a folder."""
    runpy.run_path(str(DOCS.parent / "examples" / "gallery.py"))["main"](folder)


def draw_tutorial(page: Path) -> None:
    """Run the programs of a page, and put the pictures that it shows beside it."""
    text = page.read_text(encoding="utf-8")
    names = PICTURE.findall(text)
    if names:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile("\n".join(PROGRAM.findall(text)), str(page), "exec"), {"__name__": "__page__"})
            for name in names:
                shutil.copy(name, page.parent)


if __name__ == "__main__":
    draw(DOCS / "gallery")
    for page in TUTORIAL:
        draw_tutorial(page)
    for page in PAGES:
        page.write_text(built(page), encoding="utf-8")
