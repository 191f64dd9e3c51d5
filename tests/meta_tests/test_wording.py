"""An event reads the same everywhere."""

import pytest

from aioservicekit_conformance.exploring.scripts import parse
from aioservicekit_conformance.report.diagram import LEGEND, moments
from aioservicekit_conformance.report.explaining import explain
from aioservicekit_conformance.report.failure_file import KeptFailure
from aioservicekit_conformance.report.program import as_program
from aioservicekit_conformance.report.timeline import timeline
from aioservicekit_conformance.running.case import Case, replay
from aioservicekit_conformance.target import load

BROKEN = "aioservicekit_conformance.modelled:without_CH_3_8"
CANCELLED_SEND_ARRIVES = parse("s1=1 p1 p1! p1! s1?. x4 s1?")


@pytest.fixture(scope="module")
def case() -> Case:
    """A send whose task is asked to cancel raises CancelledError, but its message is still read."""
    refused = replay(load(BROKEN), 0, CANCELLED_SEND_ARRIVES)
    assert refused.refused is not None
    return refused


def test_a_request_to_cancel_is_told_apart_from_its_effect(case: Case) -> None:
    """The request and the resulting CancelledError have one line each, in the timeline and in the drawing."""
    told = [("[4]" in line, line.partition("  ")[2]) for line in timeline(case)]
    assert told.index((True, "cancel requested")) < told.index((True, "raises CancelledError"))
    drawn = [moment.text for moment in moments(case)]
    assert drawn.index("[4] p1.send(4)  cancel requested") < drawn.index("[4] p1.send(4)  raises CancelledError")
    assert ("⊘", "cancel requested") in LEGEND


def test_an_exported_program_prints_the_lines_of_the_timeline(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """The timeline's lines are in the program's output, with the same words and order, except what is buffered at rest."""
    failure = KeptFailure(BROKEN, "CH-3.8", 0, tuple(case.actions))
    with pytest.raises(SystemExit) as ended:
        exec(compile(as_program(failure, case, *explain(case)), "program.py", "exec"), {})
    assert ended.value.code == 1
    printed = iter(capsys.readouterr().out.splitlines())
    for line in timeline(case)[1:]:
        wanted = "    at rest" if line.startswith("    at rest") else line
        assert wanted in printed, line
