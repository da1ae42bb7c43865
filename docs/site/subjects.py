"""A Sphinx extension for the reference: the names of a module that belong to one subject, as a table and in full.

.. subject:: tensorgraph

   conv2d max_pool2d
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class Subject(SphinxDirective):
    """Writes the directives of autosummary and autodoc for its names."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        module, names = self.arguments[0], " ".join(self.content).split()
        lines = [f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names] + [""]
        for name in names:
            thing = getattr(importlib.import_module(module), name)
            lines += (
                [f".. autoclass:: {name}", "   :members:"] if inspect.isclass(thing) else [f".. autofunction:: {name}"]
            )
            lines += [""]
        return self.parse_text_to_nodes(StringList(lines, source=self.get_source_info()[0]))


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("subject", Subject)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
