"""The command `python -m aioservicekit_model explore`."""

import re
import subprocess
import sys

import pytest

from aioservicekit_model.__main__ import Exploration, main, report
from aioservicekit_model.explorer import Machine, Sometimes

PAIR = ("explore", "services", "database", "web:database")


def test_what_holds_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each property has a line, the last line says how much was explored, and the exit status is 0."""
    assert main(PAIR) == 0
    told = capsys.readouterr()
    assert "holds: no stop is ignored (SV-4.1, SV-4.6)\n" in told.out
    assert "seen: a restart brings up what it took down\n" in told.out
    assert re.search(r"^2,590 states, 22,467 steps, depth 19; [\d,]+ states a second.*\n\Z", told.out, re.MULTILINE)
    assert told.err == ""


def test_what_is_broken_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A shortest path to the violation follows the property, with the names of the services; the exit status is 1."""
    assert main([*PAIR, "--no-restarts", "--fault", "stop ignored while starting"]) == 1
    shown = "BROKEN: no stop is ignored (SV-4.1, SV-4.6)\n    1. database: start\n    2. database: stop\nholds: "
    told = capsys.readouterr().out
    assert shown in told
    assert "restart" not in told


def test_what_never_comes_about_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A situation that no state shows fails the command, without a path."""
    stands_still: Machine[int, str] = Machine((0,), lambda state: ())
    assert report(Exploration(stands_still, {"it moves": Sometimes[int](bool)}, str)) == 1
    assert capsys.readouterr().out.startswith("NEVER SEEN: it moves\n1 states, 0 steps, depth 0; ")


def test_progress_is_shown_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line on the terminal shows how far the exploration has come, and is wiped at the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["explore", "services", "a", "b:a", "c:b", "--no-restarts"]) == 0
    lines = capsys.readouterr().err.split("\r")
    assert re.fullmatch(r"10,\d\d\d states, \d+ of them still to leave, depth \d+\033\[K", lines[1])
    assert lines[-1] == "\033[K"


def test_memory_is_left_out_where_it_is_unknown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a platform without the module `resource`, the command still works."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert main(["explore", "services", "a"]) == 0
    assert capsys.readouterr().out.endswith(" states a second\n")


CHANNEL = ("explore", "channel")


def test_a_channel_is_explored(capsys: pytest.CaptureFixture[str]) -> None:
    """The bounds are those of the command line, and default to one message from one publisher to one subscriber."""
    assert main(CHANNEL) == 0
    told = capsys.readouterr().out
    assert "holds: no buffer holds more messages than its size (CH-3.2)\n" in told
    assert "seen: a send commits at once\n" in told
    assert "\n72 states, 314 steps, depth 9; " in told
    bounds = (
        "--publishers 1 --subscribers 2 --messages 2 --waiting 2 --cancellations 1 --joined --no-closings --iterate"
    )
    assert main([*CHANNEL, *bounds.split()]) == 0
    reduced = capsys.readouterr().out.splitlines()[-1]
    assert main([*CHANNEL, *bounds.split(), "--unreduced"]) == 0
    assert int(reduced.split()[0].replace(",", "")) < int(
        capsys.readouterr().out.splitlines()[-1].split()[0].replace(",", "")
    )


def test_a_broken_rule_of_a_channel_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The shortest path to what is wrong is told in the words of the operations."""
    assert (
        main(
            [
                *CHANNEL,
                "--subscribers",
                "default",
                "--default-size",
                "1",
                "--joined",
                "--messages",
                "2",
                "--relax",
                "CH-3.2",
            ]
        )
        == 1
    )
    assert (
        """BROKEN: sends commit when nobody is full (CH-3.2, CH-3.8c)
    1. p1: send(1) is called; it waits
    2. p1: send(1) - commit; it returns
    3. p1: send(1) returns
    4. p1: send(2) is called; it waits
    5. p1: send(2) - commit; it returns
"""
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("CH-1.7", "the channel is seen in open"),
        ("CH-4.6", "all is at rest"),
        ("CH-3.8a", "p1: send(1) is asked to cancel"),
        ("CH-4.1b", "s1: read() returns"),
    ],
)
def test_every_step_is_told(rule: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is seen of a channel stands in the path like what is called."""
    assert main([*CHANNEL, "--cancellations", "1" if rule == "CH-3.8a" else "0", "--joined", "--relax", rule]) == 1
    assert re.search(rf"^    \d+\. {re.escape(line)}$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--publishers", "-1"], "argument --publishers: '-1' is not a number from 0 up"),
        (["--subscribers", "1", "big"], "argument --subscribers: 'big' is not a number from 0 up"),
        (["--relax", "CH-0.1"], "invalid choice: 'CH-0.1'"),
    ],
)
def test_wrong_bounds_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names what is wrong, and the exit status is 2."""
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*CHANNEL, *arguments])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("services", "message"),
    [
        (["web:cache"], "'web:cache': 'cache' is none of the services before it (there are none)"),
        (["db", "web:cache"], "'web:cache': 'cache' is none of the services before it (db)"),
        (["db", "db"], "'db': each service needs a name of its own"),
        (["db", ":db"], "':db': each service needs a name of its own"),
        (["db", "--fault", "a limit that spares stop hooks"], "--fault 'a limit that spares stop hooks': add --block"),
        (["db", "--fault", "restarts that nobody counts"], "--fault 'restarts that nobody counts': add --policies"),
        (["db", "--fault", "none"], "invalid choice: 'none'"),
    ],
)
def test_a_wrong_command_is_refused(services: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names what is wrong, and the exit status is 2."""
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["explore", "services", *services])
    assert message in capsys.readouterr().err


def test_the_module_is_a_command() -> None:
    """`python -m` runs it, and exits with its status."""
    command = [
        sys.executable,
        "-m",
        "aioservicekit_model",
        "explore",
        "services",
        "a",
        "--fault",
        "stuck on a failed stop",
    ]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 1
