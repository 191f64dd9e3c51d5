"""Link targets for all rules and sections. Each id in a text or a docstring becomes a link, with or without an obligation's letter.

The directive `mentions` shows where a file or a folder names a rule: each line that a search for its id finds.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]

ID = r"(?:CH|SV)-[1-9]\d*(?:\.\d+)?"  # of a rule, or of a section
HEADING = re.compile(rf"^##+ (?P<id>{ID}) ", re.MULTILINE)
MENTION = re.compile(rf"\b({ID})[a-z]?\b")
UNLINKED = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.FixedTextElement, pending_xref)


def name_rules(app: Sphinx, path: Path, parent: str, source: list[str]) -> None:
    """Make the heading of each rule and each section a target for its id."""
    source[0] = HEADING.sub(r"(\g<id>)=\n\g<0>", source[0])


class LinkRules(SphinxTransform):
    """Turn each mention of a rule or a section into a link, outside of headings, code and other links."""

    default_priority = 500

    def apply(self) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if MENTION.search(text) and not within(text, UNLINKED):
                text.parent.replace(text, list(self.pieces(text)))

    def pieces(self, text: nodes.Text) -> Iterator[nodes.Node]:
        end = 0
        for mention in MENTION.finditer(text):
            yield nodes.Text(text[end : mention.start()])
            yield self.link(mention, text)
            end = mention.end()
        yield nodes.Text(text[end:])

    def link(self, mention: re.Match[str], at: nodes.Text) -> pending_xref:
        link = pending_xref(
            *("", nodes.inline("", mention[0], classes=["rule"])),
            refdomain="std",
            reftype="ref",
            reftarget=mention[1].lower(),
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )
        link.source, link.line = at.parent.source, at.parent.line
        return link


class Mentions(SphinxDirective):
    """`{mentions} CH-3.8 aioservicekit` shows the lines there that name the rule; without any, the build fails."""

    required_arguments = 2
    option_spec: ClassVar = {
        "around": directives.nonnegative_int,  # lines before and after each
        "most": directives.positive_int,  # lines per file that name it
    }

    def run(self) -> list[nodes.Node]:
        rule, place = self.arguments
        files = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))
        found = {path: self.excerpt(rule, path) for path in files}
        if not any(found.values()):
            raise self.error(f"nothing in {place} names {rule}")
        return [node for path, excerpt in found.items() if excerpt for node in self.shown(path, excerpt)]

    def excerpt(self, rule: str, path: Path) -> str:
        self.env.note_dependency(str(path))
        around, most = self.options.get("around", 0), self.options.get("most")
        lines = path.read_text("utf-8").splitlines()
        named = [number for number, line in enumerate(lines) if re.search(rf"\b{re.escape(rule)}[a-z]?\b", line)]
        parts: list[list[int]] = []
        for number in named[:most]:
            numbers = range(max(0, number - around), min(len(lines), number + around + 1))
            if around and parts and numbers[0] <= parts[-1][-1] + 1:
                parts[-1].extend(n for n in numbers if n > parts[-1][-1])
            else:
                parts.append(list(numbers))
        texts = [dedent("\n".join(lines[n] for n in part)).strip("\n") for part in parts]
        if most and len(named) > most:
            texts.append(f"# ... and {len(named) - most} more")
        return ("\n# ...\n" if around else "\n").join(texts)

    def shown(self, path: Path, excerpt: str) -> Iterator[nodes.Node]:
        name = path.relative_to(ROOT).as_posix()
        yield nodes.paragraph("", "", nodes.reference("", name, refuri=f"source:{name}"), classes=["mentions"])
        yield nodes.literal_block(excerpt, excerpt, language="python", force=True)


def within(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("include-read", name_rules)
    app.add_transform(LinkRules)
    app.add_directive("mentions", Mentions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
