"""Whether a failure can be kept: it replays in the suite, and an independent program shows it."""

from pathlib import Path

import pytest

from aioservicekit_conformance.checks.registry import BY_NAME
from aioservicekit_conformance.checks.runner import run_check
from aioservicekit_conformance.report.failure_file import as_text, read
from aioservicekit_conformance.report.timeline import timeline
from aioservicekit_conformance.running.case import replay
from aioservicekit_conformance.target import Target
from aioservicekit_conformance.verdicts import Verdict


def assert_replays(target: Target, verdict: Verdict, directory: Path) -> None:
    """The file makes the same case again, and the program shows the defect without the suite."""
    file = directory / "failure.txt"
    file.write_text(verdict.replay)
    failure = read(file)
    if failure.check:
        check = BY_NAME[failure.rule, failure.check]
        error = run_check(check, target)
        assert error
        assert (error.expected, error.observed) == (verdict.expected, verdict.observed)
    else:
        assert timeline(replay(target, failure.default_size, failure.actions)) == list(verdict.history)
    assert as_text(failure) == verdict.replay
    with pytest.raises(SystemExit) as ended:
        exec(compile(verdict.program, f"{target.name}.py", "exec"), {})
    assert ended.value.code == 1, verdict.program
