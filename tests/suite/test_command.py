"""The command: its exit statuses, its report, and one clear line for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aioservicekit_conformance.command import main
from aioservicekit_model.rules import RULES

DEAF = """
import aioservicekit
from aioservicekit import ChannelClosedError, ChannelState

class Channel(aioservicekit.Channel):
    async def close(self):
        if self.state is ChannelState.open:
            await super().close()
"""


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aioservicekit_conformance", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_our_own_channel_conforms(tmp_path: Path) -> None:
    """The default target is the reference; every rule of CH-1 to CH-5 passes, and the exit status is 0."""
    done = run("--max-examples", "600", "--json", str(tmp_path / "report.json"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (target,) = json.loads((tmp_path / "report.json").read_text())["targets"]
    verdicts = {rule["rule"]: rule["verdict"] for rule in target["rules"]}
    assert list(verdicts) == list(RULES)
    assert {rule for rule in RULES if rule < "CH-6"} == {
        rule for rule, verdict in verdicts.items() if verdict == "pass"
    }
    assert target["conforms"] is True


def test_a_broken_rule_is_named_with_its_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failing rule shows its sentence, what was expected and observed, and the shortest history; the exit status is 1."""
    (tmp_path / "deaf_channel.py").write_text(DEAF)
    done = run("deaf_channel", "--max-examples", "200", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL  CH-1.4" in done.stdout
    assert done.stdout.count("FAIL") == 1
    assert RULES["CH-1.4"].sentence[:60] in done.stdout
    assert "expected: the channel is in closed" in done.stdout
    assert "observed: it is in initiation" in done.stdout
    assert "channel.close()" in done.stdout


def test_one_rule_can_be_judged_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --rule the report says nothing of the others."""
    report = tmp_path / "report.json"
    assert main(["--rule", "CH-2.3", "--rule", "CH-3.8", "--max-examples", "100", "--json", str(report)]) == 0
    (target,) = json.loads(report.read_text())["targets"]
    assert [rule["rule"] for rule in target["rules"]] == ["CH-2.3", "CH-3.8"]
    assert "CH-1.1" not in capsys.readouterr().out


def test_the_same_seed_gives_the_same_report(tmp_path: Path) -> None:
    """Two runs with one seed agree to the last byte; another seed makes other cases."""
    texts = []
    for number, seed in enumerate(("7", "7", "8")):
        report = tmp_path / f"{number}.json"
        main(["--seed", seed, "--max-examples", "60", "--json", str(report)])
        texts.append(report.read_text())
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such_module"], "no_such_module"),
        (["aioservicekit:nothing"], "nothing"),
        (["json"], "lacks Channel, ChannelState, ChannelClosedError"),
        (["--rule", "CH-0.1"], "CH-0.1"),
        (["--max-examples", "0"], "'0'"),
        (["--max-examples", "many"], "'many'"),
        (["--seed", "x"], "'x'"),
        (["--json", "no/such/directory/report.json"], "no/such/directory"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    """An unknown target, a target that lacks a name and a bad option end with status 2 and a line that names the value."""
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert says in last
    assert "Traceback" not in done.stderr
