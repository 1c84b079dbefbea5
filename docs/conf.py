"""The site: `sphinx-build -W --keep-going -n docs docs/_build/html`, with the extra `docs`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
# Notebooks run in processes of their own: these import the examples, and draw without a window.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "examples"), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ.pop("MPLBACKEND", None)  # or pictures would be drawn and not shown
os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:matplotlib"

import fastnet  # noqa: E402

project = "fastnet"
author = "the authors of fastnet"
copyright = "the authors of fastnet; BSD-3-Clause"
version = release = fastnet.__version__
# Where the site is published, once it is: pages then name their own address. Nothing else depends on it.
html_baseurl = os.environ.get("FASTNET_SITE", "")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_design",
    "plain_docstrings",
    "mathml",
    "kernels",
    "languages",
    "words",
]
exclude_patterns = ["_build", "_extensions", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = True
smartquotes = False  # most of what stands between quotation marks is a value
maximum_signature_line_length = 88
# A name between backticks in a docstring leads to its page if it has one, and is code if not.
default_role = "py:obj"
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["myst-nb.lexer"]  # of cells that have not run, with -D nb_execution_mode=off

# ---- Markdown and notebooks
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
# When Sphinx reads a page, so not again until it changes. ("cache" has a database, which two processes of -j 2 would
# make at the same time.)
nb_execution_mode = "auto"
# `-t quick`: the course's chapters, which the tests run as well, are only laid out.
nb_execution_excludepatterns = ["course/*/*"] if tags.has("quick") else []  # noqa: F821 - Sphinx's
nb_execution_show_tb = True
nb_execution_in_temp = True  # where the files go that pages write
nb_execution_timeout = 180
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
nb_ipywidgets_js = {}  # which would come from another host

# ---- docstrings
autodoc_typehints = "none"  # the sections of a docstring say more than annotations do
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_imported_members = True
numpydoc_show_class_members = False
numpydoc_use_plots = False

# ---- pages
html_theme = "pydata_sphinx_theme"
html_title = "fastnet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_search_language = "words"
html_sidebars = {"index": [], "gallery/index": []}  # which have no pages below them
html_theme_options = {
    "logo": {"text": "fastnet"},
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_prev_next": True,
    "article_header_end": ["other-language"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
