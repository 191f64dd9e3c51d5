"""The report as one self-contained page: one row per rule, one column per target, and a drawing behind each failure."""

from itertools import groupby
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from aioservicekit_model.rules import RULES, SECTIONS, Rule, section

from ..verdicts import Report, Verdict
from .diagram import GLYPHS, LEGEND
from .wording import IMPOSSIBLE, KEY

__all__ = ["as_html"]

MARKS = {"pass": "✓", "fail": "✗", "masked": "≈", "unsupported": "?", "untested": "·", "not applicable": "—"}


class Row(NamedTuple):
    """One rule, and its verdict for each target."""

    rule: Rule
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every target has passed it."""
        return all(verdict.verdict == "pass" for verdict in self.verdicts)


def as_html(reports: list[Report], version: str, seed: int) -> str:
    """The page's text."""
    rows = (
        Row(RULES[verdicts[0].rule], verdicts)
        for verdicts in zip(*(report.verdicts for report in reports), strict=True)
    )
    sections = [(name, SECTIONS[name], list(those)) for name, those in groupby(rows, lambda row: section(row.rule.id))]
    environment = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.jinja")
    return page.render(
        reports=reports,
        sections=sections,
        marks=MARKS,
        glyphs=GLYPHS,
        legend=LEGEND,
        impossible=IMPOSSIBLE,
        key=KEY,
        version=version,
        seed=seed,
    )
