"""An event reads the same everywhere."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from channels import DEFECTS

import aioservicekit
from aioservicekit import Channel, ChannelState
from aioservicekit_conformance.exploring.scripts import parse
from aioservicekit_conformance.report.diagram import LEGEND, moments
from aioservicekit_conformance.report.explaining import because, explain
from aioservicekit_conformance.report.failure_file import KeptFailure
from aioservicekit_conformance.report.program import as_program
from aioservicekit_conformance.report.timeline import timeline
from aioservicekit_conformance.running.case import Case, replay
from aioservicekit_conformance.target import describe, load

BROKEN = "aioservicekit_conformance.modelled:without_CH_3_8"
CANCELLED_SEND_ARRIVES = parse("s1=1 p1 p1! p1! s1?. x4 s1?")


class OpensTooEarly(Channel[Any]):
    """It claims to be open while its first subscriber is still joining."""

    _early = False

    @property
    def state(self) -> ChannelState:
        return ChannelState.open if self._early else super().state

    async def subscribe(self, *, buffer_size: int | None = None, name: str | None = None) -> Any:
        self._early = True
        await asyncio.sleep(0)
        return await super().subscribe(buffer_size=buffer_size, name=name)


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


def test_who_may_be_connected_is_not_left_out() -> None:
    """Before a join returns, nobody knows whether it has connected its endpoint."""
    offered = SimpleNamespace(
        Channel=OpensTooEarly, ChannelState=ChannelState, ChannelClosedError=aioservicekit.ChannelClosedError
    )
    refused = replay(describe("early", offered), 0, parse("s1"))
    assert explain(refused) == ("the channel's state is initiation", "the channel's state is open")
    assert because(refused) == "nobody is connected, and perhaps s1"


@pytest.mark.parametrize(
    ("defect", "script", "what"),
    [("sends_ignore_cancelling", "s1=1 p1 p1! p1! x4", "send"), ("reads_ignore_cancelling", "s1 p1 s1? x3", "read")],
)
def test_what_is_overdue_is_told_only_if_it_is_in_every_explanation(defect: str, script: str, what: str) -> None:
    """What waits though it was asked to cancel may have given up inside, but nothing has closed, and no report says so."""
    refused = replay(describe(defect, DEFECTS[defect].target), 0, parse(script))
    assert explain(refused)[1] == f"a {what} waits though it was asked to cancel"
