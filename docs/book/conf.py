"""Settings of the site for Sphinx. `hamner book` assembles the sources first (hamner/reproduction/site.py)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

project = "hamner"
author = "the hamner authors"
html_title = "hamner"
html_show_copyright = False
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx_copybutton"]

nb_execution_mode = "off"  # outputs are those that are committed
nb_ipywidgets_js = {}  # nothing is fetched when a page is read
nb_render_markdown_format = "myst"
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath"]
myst_heading_anchors = 3
numfig = True
math_numfig = False
# A notebook's headings follow its text; pandas' tables and doctests are no Python source.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

html_favicon = "icon.png"
html_context = {"default_mode": "light"}  # figures are white
html_theme = "sphinx_book_theme"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
mathjax_path = "mathjax/tex-chtml.js"  # copied by hamner book
html_theme_options = {
    "home_page_in_toc": True,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "toc_title": "On this page",
    **json.loads(os.environ.get("HAMNER_THEME_OPTIONS", "{}")),  # hamner book knows the repository
}
html_last_updated_fmt = None
html_copy_source = True

# A term is a line of the glossary whose meaning stands indented below it. One with an explanation in parentheses is
# an everyday word as well ("run") and is not linked: pages do not have it in this form.
GLOSSARY = Path(__file__).parent.parent / "course" / "glossary.md"
TERMS = re.findall(r"^(\w.*)\n(?=  \S)", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
NOT_LINKED = (nodes.title, nodes.reference, nodes.literal, nodes.caption, nodes.term, pending_xref, nodes.raw)


def link_glossary_terms(app: Sphinx, document: nodes.document) -> None:
    """Link the first place where a page's prose uses a term of the glossary."""
    page = app.env.docname
    if not page.startswith("notebooks/"):
        return
    terms = {term.lower(): term for term in TERMS}
    pattern = re.compile(
        rf"(?<![\w-])({'|'.join(map(re.escape, sorted(terms, key=len, reverse=True)))})(?![\w-])", re.I
    )
    for text in list(document.findall(nodes.Text)):
        parent = text.parent
        if not terms or any(isinstance(one, NOT_LINKED) for one in ancestors(text)):
            continue
        if not any(isinstance(one, nodes.paragraph) for one in ancestors(text)):
            continue
        found = next((match for match in pattern.finditer(text) if match[0].lower() in terms), None)
        if found is None:
            continue
        term = terms.pop(found[0].lower())
        shown = nodes.inline("", found[0], classes=["xref", "std", "std-term"])
        target = {"refdomain": "std", "reftype": "term", "reftarget": term, "refdoc": page}
        link = pending_xref("", shown, refwarn=True, refexplicit=True, **target)
        before, after = nodes.Text(text[: found.start()]), nodes.Text(text[found.end() :])
        parent.replace(text, [before, link, after])


def ancestors(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", link_glossary_terms)
