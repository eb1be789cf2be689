"""Settings of the lectures for Sphinx. `hamner slides` assembles the sources first (hamner/reproduction/course.py)."""

from __future__ import annotations

project = "hamner"
extensions = ["myst_parser", "sphinx.ext.mathjax", "sphinx_revealjs"]
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath"]
suppress_warnings = ["toc.not_included"]
root_doc = "lecture1"
mathjax_path = "mathjax/tex-chtml.js"  # copied by hamner slides

html_favicon = "../book/icon.png"
revealjs_style_theme = "white"
revealjs_static_path = ["style.css", "short.js"]
revealjs_css_files = ["style.css"]
revealjs_script_files = ["short.js"]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0.04,
    "center": False,
    "hash": True,
    "slideNumber": "c",
    "transition": "none",
}
revealjs_script_plugins = [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}]
