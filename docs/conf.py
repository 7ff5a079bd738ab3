"""The site, with the extra docs: python -m sphinx -W docs docs/_build/html. generate.py makes what it has."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import generate  # noqa: E402

project = "TinyCNN side by side"
language = "en"
smartquotes = False  # --flag stays --flag
extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_nb", "mathml", "docstrings"]
exclude_patterns = ["_build", "lessons/solved", "lessons/blank", "made"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the lessons' own program has run them
nb_merge_streams = True

html_theme = "furo"
html_title = project
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = ["made/extra"]
(Path(__file__).parent / "made" / "extra").mkdir(parents=True, exist_ok=True)  # Sphinx looks first
html_copy_source = False
html_show_sphinx = html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # np.float32, as it is written
autodoc_typehints = "none"  # docstrings say shapes, which types do not know
add_module_names = False


def complete_the_headings(app, page, template, context, doctree):
    """The captions of furo's sidebar are headings without a level, which a screen reader needs."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app):
    app.connect("builder-inited", generate.all_of_it)
    app.connect("html-page-context", complete_the_headings, priority=900)
