"""The soak finds nothing in the channel, and finds what is planted."""

from collections.abc import Callable
from typing import Any

import pytest

from aioservicekit import Publisher
from aioservicekit._core import Buffer, Core
from aioservicekit._runtime import Waiting
from benchmarks.__main__ import main
from benchmarks.soak import SLACK, Outcome, growth, soak

# Defective channels leave endpoints and loops behind.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SHORT = 3 * 4  # rounds: as many as it takes to compare memory


def run(rounds: int, calls: int = 300, patience: float = 120.0) -> Outcome:
    return soak(lambda done, _: done >= rounds, calls=calls, patience=patience)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_lost_and_nothing_is_left() -> None:
    """A short soak of our channel: some hundred thousand calls (CH-3, CH-4, CH-6, CH-7.1)."""
    outcome = run(60, calls=1_000)
    assert not outcome.faults
    assert outcome.rounds == 60
    for kind in ("send", "read", "subscribe", "connect", "leave", "retire", "cancel", "close", "loops that died"):
        assert outcome.counts[kind] > 20, kind


def losing(commit: Callable[..., bool]) -> Callable[..., bool]:
    """Every fiftieth message misses the subscriber that joined last."""

    def defective(core: Core[Any], message: Any) -> bool:
        if message[1] % 50 or len(core.buffers) < 2:
            return commit(core, message)
        last = next(reversed(core.buffers))
        buffers, core.buffers = core.buffers, {each: None for each in core.buffers if each is not last}
        try:
            return commit(core, message)
        finally:
            core.buffers = buffers

    return defective


def doubling(commit: Callable[..., bool]) -> Callable[..., bool]:
    """Every fifth message comes twice."""
    return lambda core, message: (message[1] % 5 or commit(core, message)) and commit(core, message)


def keeping(unsubscribe: Callable[..., None]) -> Callable[..., None]:
    """The buffers of closed subscribers are kept."""
    kept: list[Buffer[Any]] = []

    def defective(core: Core[Any], buffer: Buffer[Any]) -> None:
        kept.append(buffer)
        unsubscribe(core, buffer)

    return defective


def leaking(abandon: Callable[..., None]) -> Callable[..., None]:
    """Something is kept of each cancelled send, such as its traceback."""
    kept: list[list[object]] = []

    def defective(core: Core[Any], waiting: Waiting) -> None:
        kept.append([object() for _ in range(100)])
        abandon(core, waiting)

    return defective


def delivering(abandon: Callable[..., None]) -> Callable[..., None]:
    """A cancelled send delivers its message all the same."""

    def defective(core: Core[Any], waiting: Waiting) -> None:
        send = core.sends.get(waiting)
        abandon(core, waiting)
        if send:
            for buffer in core.buffers:
                buffer.messages.append(send.message)

    return defective


def staying(disconnect: Callable[..., None]) -> Callable[..., None]:
    """A publisher that closes stays in the statistics."""

    def defective(core: Core[Any], publisher: object) -> None:
        disconnect(core, publisher)
        if not core.why_closed:
            core.publishers.add(publisher)

    return defective


FAULTS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "a lost message": ("commit", losing, "a subscriber got"),
    "a doubled message": ("commit", doubling, "came twice"),
    "a kept buffer": ("unsubscribe", keeping, "memory has grown"),
    "a leak": ("abandon_send", leaking, "memory has grown"),
    "a cancelled send that delivers": ("abandon_send", delivering, "though their send failed"),
    "an endpoint that stays": ("disconnect", staying, "left over"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each planted fault is named."""
    method, plant, words = FAULTS[name]
    monkeypatch.setattr(Core, method, plant(vars(Core)[method]))
    outcome = run(SHORT)
    assert any(words in fault for fault in outcome.faults), outcome.faults


def test_a_send_that_never_goes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that stands still is given up, and named (CH-3.4)."""
    monkeypatch.setattr(Core, "commit_waiting", lambda core: None)
    (fault,) = run(SHORT, patience=0.5).faults
    assert "stands still" in fault


def test_an_error_that_no_rule_permits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else an operation raises is a fault."""

    async def send(publisher: Publisher[Any], data: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Publisher, "send", send)
    assert any("ZeroDivisionError" in fault for fault in run(1).faults)


def test_memory_is_compared_by_what_rounds_have_at_least() -> None:
    """A round that takes more by chance makes no fault, and one block more in every round does in the end."""
    noisy = [1_000 + (9_000 if number % 3 else 0) for number in range(30)]
    assert growth(noisy) == 0
    assert growth([1_000 + number for number in range(3 * SLACK + 6)]) > SLACK
    assert growth([1_000, 100_000]) == 0


def test_the_command_tells_the_outcome(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`--soak` prints a summary; the exit status is 1 if there was a fault."""
    assert main(["--soak", "0.001"]) == 0
    assert "nothing lost" in capsys.readouterr().out
    monkeypatch.setattr(Core, "commit", doubling(Core.commit))
    assert main(["--soak", "0.001"]) == 1
    assert "came twice" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_the_command_refuses_what_is_no_time(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the value and what was expected."""
    with pytest.raises(SystemExit):
        main([f"--soak={value}"])
    assert f"a number of seconds above 0 was expected, not '{value}'" in capsys.readouterr().err
