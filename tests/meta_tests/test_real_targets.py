"""The suite's verdicts on real implementations, including PyPI's aioservicekit 0.6.0, which this project did not write."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# The rules for which each is always blamed; for the others it depends on the cases that are drawn.
NAMED = {
    "aioservicekit": set[str](),
    "asyncio_queues": {"CH-2.3", "CH-3.1", "CH-4.4"},
    "anyio_streams": {"CH-2.3", "CH-3.1", "CH-3.8"},
    "aioservicekit_0_6_0.channels": {"CH-1.4", "CH-2.3", "CH-3.1", "CH-3.8"},
}

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def _examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.mark.defects
def test_0_6_0_is_refused_by_the_command_of_the_readme(tmp_path: Path) -> None:
    """In 0.6.0 a close in `initiation` does nothing; arguments are passed on, and the exit status is 1."""
    report = tmp_path / "report.json"
    options = ["--rule", "CH-1.4", "--max-examples", "100", "--json", str(report)]
    command = [sys.executable, str(EXAMPLES / "judge_0_6_0.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    (target,) = json.loads(report.read_text())["targets"]
    assert [rule["rule"] for rule in target["rules"] if rule["verdict"] == "fail"] == ["CH-1.4"]


@pytest.mark.defects
@pytest.mark.usefixtures("_examples_can_be_imported")
def test_the_printed_matrix_is_what_comes_out() -> None:
    """The document has the verdicts of its command; another release of Hypothesis may draw other cases."""
    import real_targets

    report = real_targets.judge()
    failing = {
        target["target"]: {rule["rule"]: rule for rule in target["rules"] if rule["verdict"] == "fail"}
        for target in report
    }
    printed = matrix(real_targets.DOCUMENT.read_text(encoding="utf-8"))
    assert list(printed) == list(real_targets.TARGETS.values())
    for name, title in real_targets.TARGETS.items():
        assert NAMED[name] <= failing[name].keys() & printed[title]
        assert failing[name].keys() <= printed[title]
        for rule in NAMED[name] - {"CH-2.3"}:
            assert 0 < len(failing[name][rule]["history"]) <= 30


def matrix(document: str) -> dict[str, set[str]]:
    """The failing rules, by the heading of a column."""
    head, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in document.splitlines() if line[:1] == "|"
    ]
    return {title: {row[0] for row in rows if "×" in row[column]} for column, title in enumerate(head) if column}
