"""The documentation site: sphinx-build -W --keep-going docs build/site"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.osutil import relative_uri

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "site"), str(DOCS), str(DOCS.parent)]  # the extensions, build.py, and the code as it is here

project = "tensorgraph"
author = "the tensorgraph developers"
html_title = "tensorgraph"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "myst_parser", "docstrings", "subjects"]
exclude_patterns = ["README.md"]  # it is what index.md begins with
myst_heading_anchors = 3  # links to headings, as they are in a repository
smartquotes = False  # quotes in the pages are quotes in programs

autodoc_typehints = "none"  # the docstrings say shapes, units and ranges, which types do not
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # what a base says stands at the base
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autosummary_generate = False  # a page for each subject, not one for each function
maximum_signature_line_length = 100

html_theme = "furo"
html_static_path = ["site/site.css"]
html_css_files = ["site.css"]
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def link_pictures(app: Any, doctree: nodes.document, docname: str) -> None:
    """Each picture is a link to its file: by itself it is as large as it is, and shows facts under the pointer."""
    if app.builder.format != "html":
        return
    page = app.builder.get_target_uri(docname)
    for picture in list(doctree.findall(nodes.image)):
        _, name = app.env.images[picture["uri"]]
        link = nodes.reference(refuri=relative_uri(page, f"{app.builder.imagedir}/{name}"), internal=True)
        picture.replace_self(link)
        link += picture


def write_live_page(app: Any, error: Exception | None) -> None:
    """The live page that page.md shows: its own program writes it, beside it."""
    from build import PROGRAM

    program = PROGRAM.search((DOCS / "page.md").read_text(encoding="utf-8"))
    if error is None and program and app.builder.name == "html":
        with contextlib.chdir(app.outdir):
            exec(compile(program[1], "page.md", "exec"), {"__name__": "__page__"})


def setup(app: Any) -> None:
    app.connect("doctree-resolved", link_pictures)
    app.connect("build-finished", write_live_page)
