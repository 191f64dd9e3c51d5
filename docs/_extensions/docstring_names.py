"""Names in single backquotes in docstrings: links if they are documented, code otherwise."""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util.nodes import make_refnode

# How Sphinx writes `Event[[int]]`.
OF_PARAMETERS = re.compile(r"(?P<name>[\w.]+)\[\(<\w+ '(?P<parameter>[\w.]+)'>,\)\]")


class NameRole(XRefRole):
    def process_link(
        self, env: BuildEnvironment, refnode: nodes.Element, has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        refnode["py:module"] = env.ref_context.get("py:module")
        refnode["py:class"] = env.ref_context.get("py:class")
        return title, target.removesuffix("()")


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Element | None:
    if match := OF_PARAMETERS.fullmatch(node["reftarget"]):
        written = f"{match['name'].rpartition('.')[2]}[[{match['parameter'].rpartition('.')[2]}]]"
        return link(app, env, node, match["name"], nodes.inline("", written))
    if node["reftype"] == "name":
        return link(app, env, node, node["reftarget"], content)
    return None


def link(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, name: str, content: nodes.TextElement
) -> nodes.Element:
    found = env.domains.python_domain.find_obj(env, node.get("py:module"), node.get("py:class"), name, None)
    if len(found) != 1:
        return content
    full_name, entry = found[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full_name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("name", NameRole(innernodeclass=nodes.literal))
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
