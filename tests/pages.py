"""The Markdown pages as programs: each Python block runs, and prints what the text block after it shows."""

import contextlib
import doctest
import io
import linecache
import re
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n?```text\n(?P<shown>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("examples/*.md")]
matches = doctest.OutputChecker().check_output


def run(page):
    """Run a page from top to bottom in one fresh namespace; raise AssertionError where it prints something else.

    A Python block without a text block right after it prints nothing. In a text block "..." stands for what varies.
    An error ends its block and counts as printed: the last lines that a terminal would show.
    """
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": "__page__"}
    for program in PROGRAM.finditer(text):
        line = text.count("\n", 0, program.start("code"))
        printed = _printed(page.name, line, program["code"], namespace)
        shown = program["shown"] or ""
        assert matches(shown, printed, doctest.ELLIPSIS), (
            f"{page.name}:{line + 1} shows\n{shown}\nand prints\n{printed}"
        )


def _printed(name, line, code, namespace):
    """What the code prints. It starts at that line of the page, so that messages name the page's own lines."""
    source = "\n" * line + code
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(source, name, "exec"), namespace)
        except Exception as error:  # noqa: BLE001 (whatever the page's program raises is part of what it prints)
            out.writelines(traceback.format_exception_only(error))
    return out.getvalue()


def dead_links(page):
    """The page's links to files that do not exist."""
    targets = [target.partition("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
    return [target for target in targets if target and "://" not in target and not (page.parent / target).exists()]
