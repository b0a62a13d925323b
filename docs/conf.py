"""Sphinx configuration: MyST pages and API pages from the docstrings."""

import re

from lemmata.version import __version__

project = "lemmata"
author = "The lemmata authors"
copyright = "The lemmata authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "lemmata"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": False, "exclude-members": "model_config"}


def _literal(_app, _what, _name, _obj, _options, lines):
    """Docstrings are written for a terminal, with `code` in single backticks; reStructuredText wants two."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``\\ ", line)


def setup(app):
    """Register the hook above."""
    app.connect("autodoc-process-docstring", _literal, priority=400)
