"""How Sphinx builds the site: `tox -e docs`.

It uses furo, MyST and autodoc. The API reference comes from the docstrings, and a dead link fails the build.

No text is written twice. Pages under `specification/`, the cost model, the changes and the contributing guide include the files at
their places in the repository, and `_extensions` makes their links work here too.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "aioservicekit"
author = "the aioservicekit developers"
copyright = author
version = release = version_of("aioservicekit")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docstring_names",
    "repository_links",
    "rule_links",
]
exclude_patterns = ["_build"]

# Every warning is an error (`-W`), and every name in a reference must exist.
nitpicky = True
nitpick_ignore_regex = [
    # The standard library's documentation is elsewhere, and a build must not need the network.
    (r"py:.*", r"(_?asyncio|collections|contextlib|contextvars|enum|signal|types|typing|abc)\..*"),
    (
        r"py:.*",
        r"(Any|Awaitable|Callable|Collection|Context|Coroutine|Exception|IntEnum|Literal|NamedTuple|Signals|Task)",
    ),
    (r"py:class", r"_pytest\.tmpdir\.TempPathFactory"),  # pytest's own fixtures
    # Type variables, and names outside the interface.
    (r"py:.*", r"(.*\.)?_[A-Z]\w*"),
]

myst_heading_anchors = 3
myst_links_external_new_tab = False

default_role = "name"  # `docstring_names`: a name in single backquotes is a link if there is a target
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False  # the signatures have the types

html_theme = "furo"
html_title = f"aioservicekit {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7cb8ff", "color-brand-content": "#7cb8ff"},
}
pygments_style = "tango"
pygments_dark_style = "github-dark"


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", signature_of_class)


def signature_of_class(app: Sphinx, what: str, name: str, documented: Any, *more: object) -> tuple[str, str] | None:
    """Use the signature of `__init__` even beside a `__new__`; endpoints have none, since only their channel makes them."""
    if what != "class":
        return None
    if name.endswith(("Publisher", "Subscriber")):
        return "", ""
    if {"__new__", "__init__"} <= vars(documented).keys():
        arguments = signature(documented.__init__, bound_method=True)
        return stringify_signature(arguments, show_return_annotation=False, unqualified_typehints=True), ""
    return None
