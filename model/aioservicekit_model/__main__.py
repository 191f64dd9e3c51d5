"""`python -m aioservicekit_model explore ...`: visit every state that a machine can reach, and check its properties."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .channel import machine as channel_machine
from .channel.properties import promises as channel_promises
from .channel.relaxed import OBLIGATIONS_OF_THE_MACHINE, relaxed
from .channel.situations import situations as channel_situations
from .channel.world import CALL, CANCEL, ENDS, OBSERVE, REST, Bounds, closed_world
from .channel.world import Label as ChannelLabel
from .explorer import Graph, Machine, Property, Sometimes, explore, violations
from .service import ACTIONS, BLOCKS, POLICIES
from .service.faults import FAULTS
from .service.machine import Label
from .service.properties import bounded, promises, situations
from .service.restarts import RESTART
from .service.state import Dependencies, World

__all__ = ["Exploration", "main", "report"]


class Exploration(NamedTuple):
    """What to explore: a machine, the properties that should hold, and how to print a label."""

    machine: Machine[Any, Any]
    properties: dict[str, Property[Any, Any]]
    told: Callable[[Any], str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line's arguments; by default, those of the process.

    Returns:
        The exit status: 0 if every property holds, 1 if one does not.

    Raises:
        SystemExit: the command line is wrong (status 2), or asks for help (status 0).
    """
    parsed = _parser().parse_args(arguments)
    return report(parsed.exploration(parsed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aioservicekit_model", description="Ask the model of aioservicekit."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    summary = "visit every state that a machine can reach, and check its properties"
    machines = commands.add_parser("explore", help=summary, description=f"{summary.capitalize()}.").add_subparsers(
        required=True, metavar="MACHINE"
    )
    services = machines.add_parser(
        "services",
        help="services that depend on each other",
        description="Services that are started, stopped and restarted, that fail, and that signals end, in every order.",
        epilog="Exit status: 0 if every property holds, 1 if one does not, 2 if the command line is wrong.",
    )
    services.set_defaults(exploration=lambda parsed: _services(services, parsed))
    services.add_argument(
        "services",
        nargs="+",
        metavar="NAME[:NAME,...]",
        help="a service, and which of those before it it depends on; `a b:a c:a d:b,c` is a diamond",
    )
    services.add_argument("--block", action="store_true", help="put them into a block of run_services with a timeout")
    services.add_argument("--policies", action="store_true", help="let them retry, or start again, after failures")
    services.add_argument("--no-restarts", action="store_true", help="call no restart(), which leaves fewer states")
    services.add_argument("--fault", choices=FAULTS, metavar="FAULT", help=f"make a mistake: {'; '.join(FAULTS)}")
    _add_channel(
        machines.add_parser(
            "channel",
            help="a channel and its users",
            description="A channel whose endpoints join and close, send and read, and are cancelled, in every order.",
            epilog="Exit status: 0 if every property holds, 1 if one does not, 2 if the command line is wrong.",
        )
    )
    return parser


def _add_channel(channel: argparse.ArgumentParser) -> None:
    channel.set_defaults(exploration=_channel)
    default = Bounds()
    add = channel.add_argument
    add("--publishers", type=_count, default=default.publishers, metavar="N", help="so many ever join (%(default)s)")
    add(
        "--subscribers",
        type=_size,
        nargs="+",
        default=default.sizes,
        metavar="SIZE",
        help="the buffer sizes of those that ever join, `default` for the channel's; 0 is unbounded (one of size 1)",
    )
    add("--default-size", type=_count, default=default.default_size, metavar="SIZE", help="the channel's (%(default)s)")
    add(
        "--messages", type=_count, default=default.messages, metavar="N", help="that each publisher sends (%(default)s)"
    )
    add(
        "--waiting",
        type=_count,
        default=default.waiting,
        metavar="N",
        help="sends of one publisher, and reads of one subscriber, under way at once (%(default)s)",
    )
    add(
        "--cancellations",
        type=_count,
        default=default.cancellations,
        metavar="N",
        help="how many operations are asked to cancel (%(default)s)",
    )
    add("--no-closings", action="store_true", help="close nothing")
    add("--joined", action="store_true", help="begin when all endpoints have joined")
    add("--iterate", action="store_true", help="read with `async for`")
    add("--unreduced", action="store_true", help="tell states apart even if nobody can notice the difference")
    add(
        "--relax",
        choices=sorted(OBLIGATIONS_OF_THE_MACHINE),
        metavar="RULE",
        help="put a rule out of force, as in CH-3.2",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return int(text)


def _size(text: str) -> int | None:
    return None if text == "default" else _count(text)


def _channel(parsed: argparse.Namespace) -> Exploration:
    """A channel and users within the bounds of the command line."""
    bounds = Bounds(
        publishers=parsed.publishers,
        sizes=tuple(parsed.subscribers),
        default_size=parsed.default_size,
        messages=parsed.messages,
        waiting=parsed.waiting,
        cancellations=parsed.cancellations,
        closings=not parsed.no_closings,
        joined=parsed.joined,
        iterating=parsed.iterate,
        reduced=not parsed.unreduced,
    )
    machine: Any = relaxed(parsed.relax) if parsed.relax else channel_machine
    return Exploration(closed_world(machine, bounds), channel_promises(bounds) | channel_situations(bounds), _told)


def _told(label: ChannelLabel) -> str:
    if label.step == REST:
        return "all is at rest"
    if label.step == OBSERVE:
        return f"the channel is seen in {label.value}"
    operation = f"{label.on}: {label.kind}({'' if label.value is None else label.value})"
    what, value = label.ending or (None, None)
    settled = {"return": "returns", "raise": "raises", None: "waits"}.get(what, what)
    outcome = settled if value is None else f"{settled} {value}"
    if label.step == CANCEL:
        return f"{operation} is asked to cancel"
    if label.step == ENDS:
        return f"{operation} {outcome}"
    return f"{operation} {'is called' if label.step == CALL else f'- {label.step}'}; it {outcome}"


def _services(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> Exploration:
    """Services as the command line describes them."""
    names: list[str] = []
    dependencies: Dependencies = ()
    for service in parsed.services:
        name, _, needed = service.partition(":")
        before = needed.split(",") if needed else []
        if not name or name in names:
            parser.error(f"{service!r}: each service needs a name of its own")
        if unknown := [each for each in before if each not in names]:
            parser.error(
                f"{service!r}: {unknown[0]!r} is none of the services before it ({', '.join(names) or 'there are none'})"
            )
        dependencies = (*dependencies, tuple(sorted({names.index(each) for each in before})))
        names.append(name)
    left_out = (() if parsed.block else BLOCKS) + (() if parsed.policies else POLICIES)
    left_out += RESTART if parsed.no_restarts else ()
    actions = tuple(action for action in ACTIONS if action not in left_out)
    properties = promises(World(dependencies)) | situations(World(dependencies), actions)
    if parsed.fault:
        if FAULTS[parsed.fault].action not in {action.name for action in actions}:
            needed = "--policies" if FAULTS[parsed.fault].action in {action.name for action in POLICIES} else "--block"
            parser.error(f"--fault {parsed.fault!r}: add {needed}")
        actions = FAULTS[parsed.fault].made_in(actions)

    def told(label: Label) -> str:
        return f"{names[label.service]}: {label.action}"

    return Exploration(bounded(World(dependencies), actions), properties, told)


def report(exploration: Exploration) -> int:
    """Explore, and print the findings; return the exit status."""
    began = time.perf_counter()
    graph = explore(exploration.machine, _show_progress if sys.stderr.isatty() else lambda graph: None)
    seconds = time.perf_counter() - began
    broken = violations(graph, exploration.properties)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for name, promised in exploration.properties.items():
        good, bad = ("seen", "NEVER SEEN") if isinstance(promised, Sometimes) else ("holds", "BROKEN")
        print(f"{bad if name in broken else good}: {name}")
        for number, label in enumerate(broken.get(name, ()), start=1):
            print(f"    {number}. {exploration.told(label)}")
    print(
        f"{len(graph.states):,} states, {graph.number_of_steps:,} steps, depth {graph.depth};"
        f" {len(graph.states) / seconds:,.0f} states a second{_memory()}"
    )
    return 1 if broken else 0


def _show_progress(graph: Graph[Any, Any]) -> None:
    line = f"{len(graph.states):,} states, {graph.fringe:,} of them still to leave, depth {graph.depth}"
    print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)


def _memory() -> str:
    """The peak memory of the process, if the platform reports it."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:
        return ""
    return f", {getrusage(RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == 'darwin' else 10):,} MiB"


if __name__ == "__main__":
    sys.exit(main())
