"""The kill matrix: the model as an implementation, one rule relaxed at a time, and the rules that the suite blames.

`python tests/meta_tests/kill_matrix.py` regenerates `specs/kill-matrix.md`.
"""

from pathlib import Path

from rich.progress import track

from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.modelled import RELAXABLE, target_without
from aioservicekit_conformance.target import load
from aioservicekit_conformance.verdicts import Report
from aioservicekit_model.rules import RULES

DOCUMENT = Path(__file__).parents[2] / "specs" / "kill-matrix.md"
RELAXED = sorted(RELAXABLE)
EXAMPLES = 100


def judged(target: str, seed: int = 0) -> Report:
    """The report on a model; its mistakes remember messages that they may yet deliver, so CH-7.1 is left out."""
    return judge(load(target), frozenset(RULES) - {"CH-7.1"}, EXAMPLES, seed)


def failing(report: Report) -> set[str]:
    return {verdict.rule for verdict in report.verdicts if verdict.verdict == "fail"}


def as_markdown(blamed: dict[str, set[str]]) -> str:
    """The document.

    Args:
        blamed: the blamed rules, by the relaxed rule.
    """
    columns = [rule.removeprefix("CH-") for rule in RELAXED]
    rows = ["| relaxed | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for relaxed in RELAXED:
        marks = ["**×**" if rule == relaxed else "×" if rule in blamed[relaxed] else " " for rule in RELAXED]
        assert relaxed in blamed[relaxed], relaxed
        rows.append(f"| {relaxed} | " + " | ".join(marks) + " |")
    table = "\n".join(rows)
    return f"""# Kill matrix

<!-- Made by: python tests/meta_tests/kill_matrix.py -->

Does the suite find what it should find? The model itself can be a channel. The strict model keeps all rules, and the suite
accepts it. With one rule relaxed (a row), the model prefers what this rule forbids. × marks the rules that the suite blames.
The diagonal, which it should blame, is bold. Nothing else is marked.

{table}

Each row is a target like any other: `aioservicekit-conformance {target_without("CH-3.1")}`.
CI regenerates the matrix with {EXAMPLES} cases per row, and replays each failure.
"""


def main() -> None:
    blamed = {rule: failing(judged(target_without(rule))) for rule in track(RELAXED, "relaxing each rule")}
    DOCUMENT.write_text(as_markdown(blamed), encoding="utf-8")


if __name__ == "__main__":
    main()
