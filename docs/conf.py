"""Sphinx configuration: MyST pages and API pages from the docstrings."""

import re

from lemmata.version import __version__

project = "lemmata"
author = "The lemmata authors"
copyright = "The lemmata authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "lemmata"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": False, "exclude-members": "model_config"}

CODE = re.compile(r"(?<![`:])`([^`]+)`(?!`)")
EMPHASIS = re.compile(r"(?<![\w*])\*(?=\w)([^*]+?)(?<=\w)\*(?![\w*])")


def _plain(line):
    """One line of running text: code in double backticks, emphasis kept, every other mark escaped."""
    pieces = re.split(r"(`[^`]+`)", line)
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            kept = EMPHASIS.sub("\0\\1\0", piece)
            escaped = re.sub(r"([*|]|_(?=\W|$))", r"\\\1", kept)
            pieces[i] = re.sub("\0([^\0]+)\0", r"*\1*", escaped)
    return CODE.sub(r"``\1``\\ ", "".join(pieces))


def _from_terminal(_app, _what, _name, _obj, _options, lines):
    """Docstrings are written for a terminal: indented blocks are formulas or code, stars and bars are mathematics."""
    result, inside = [], False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside and (not result or not result[-1].strip()):
            result += ["::", ""]
            inside = True
        elif line.strip() and not indented:
            inside = False
        example = line.lstrip().startswith((">>>", "..."))
        result.append(line if inside or example else _plain(line))
    lines[:] = result


def setup(app):
    """Register the hook above."""
    app.connect("autodoc-process-docstring", _from_terminal, priority=400)
