"""Links between files of the repository that work both in the repository and on the site.

A page that includes a whole file (`{include}`) is that file on the site. A relative link in Markdown starts from the file that
contains it, and becomes

* a link to a page, if it leads to a file that the page includes;
* a link to a page that shows the source, if it leads to any other file or folder of the repository;
* a warning, which fails the build, if it leads nowhere.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx
from sphinx.util import logging

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent

LINK = re.compile(r"(?P<image>!?)(?P<text>\[[^\[\]]*\])\((?P<target>[^()\s]+)\)")
FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}|:{3,}).*?^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL)
INCLUDE = re.compile(r"\A```\{include\} (\S+)\n```\s*\Z", re.MULTILINE)

logger = logging.getLogger(__name__)


@cache
def included() -> dict[Path, Path]:
    """Map each file to the page that includes it."""
    pages = ((page, INCLUDE.match(page.read_text("utf-8"))) for page in sorted(DOCS.rglob("*.md")))
    return {(page.parent / match[1]).resolve(): page for page, match in pages if match}


def rewritten(text: str, at: Path, page: Path) -> str:
    """Return the Markdown text of the file `at`, with its links as the page `page` needs them."""

    def link(match: re.Match[str]) -> str:
        image, label, target = match["image"], match["text"], match["target"]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        name, mark, anchor = target.partition("#")
        path = Path(os.path.normpath(at.parent / name))
        if not path.exists():
            logger.warning("%s links to %s, which is not there", at.relative_to(ROOT), target)
            return match[0]
        if not image and path not in included() and not (path.is_relative_to(DOCS) and path.suffix == ".md"):
            return f"{label}(source:{path.relative_to(ROOT).as_posix()})"
        path = included().get(path, path)
        return f"{image}{label}({os.path.relpath(path, page.parent)}{mark}{anchor})"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(link, text[end:])])


def on_source_read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    source[0] = rewritten(source[0], page, page)


def on_include_read(app: Sphinx, path: Path, parent: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(app.env.docname))
    source[0] = rewritten(source[0], Path(os.path.normpath(DOCS / path)), page)


def on_doctree_resolved(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Make `source:` links relative, and remember their targets."""
    for reference in doctree.findall(nodes.reference):
        target = reference.get("refuri", "")
        if target.startswith("source:"):
            path = target.removeprefix("source:")
            shown(app).add(path)
            reference["refuri"] = app.builder.get_relative_uri(docname, f"source/{path}")
            reference["internal"] = True


def shown(app: Sphinx) -> set[str]:
    """The files and folders to which links lead."""
    if not hasattr(app.env, "shown_sources"):
        app.env.shown_sources = set()  # type: ignore[attr-defined]
    return app.env.shown_sources  # type: ignore[attr-defined, no-any-return]


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file and each folder to which links lead, and for each file in these folders."""
    paths = {ROOT / path for path in shown(app)}
    paths |= {file for folder in paths if folder.is_dir() for file in files(folder)}
    for path in sorted(paths):
        name = path.relative_to(ROOT).as_posix()
        body = listing(path) if path.is_dir() else code(path)
        context = {"title": name, "body": f"<h1>{escape(name)}</h1>{body}", "parents": []}
        yield f"source/{name}", context, "page.html"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".py", ".md", ".txt", ".toml", ".dot"))


def listing(folder: Path) -> str:
    links = (f'<li><a href="{folder.name}/{path.name}.html">{escape(path.name)}</a></li>' for path in files(folder))
    return f"<ul>{''.join(links)}</ul>"


def code(path: Path) -> str:
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    return str(highlight(path.read_text("utf-8"), lexer, HtmlFormatter(cssclass="highlight", wrapcode=False)))


def setup(app: Sphinx) -> dict[str, Any]:
    app.config.myst_url_schemes = {"http": None, "https": None, "mailto": None, "source": None}
    app.connect("source-read", on_source_read)
    app.connect("include-read", on_include_read)
    app.connect("doctree-resolved", on_doctree_resolved)
    app.connect("html-collect-pages", source_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
