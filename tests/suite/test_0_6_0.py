"""A real implementation that this project did not write: the channels of PyPI's aioservicekit 0.6.0."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "judge_0_6_0.py"


def test_0_6_0_is_refused_for_what_it_does(tmp_path: Path) -> None:
    """Closing in `initiation` does nothing there, and cancelled and failed sends have reached some of the subscribers."""
    report = tmp_path / "report.json"
    command = [sys.executable, str(SCRIPT), "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    (target,) = json.loads(report.read_text())["targets"]
    failed = {rule["rule"]: rule for rule in target["rules"] if rule["verdict"] == "fail"}
    assert {"CH-1.4", "CH-3.1", "CH-3.8"} <= set(failed)
    for rule in ("CH-1.4", "CH-3.1", "CH-3.8"):
        assert 0 < len(failed[rule]["history"]) <= 30
