"""The diagrams of states, as Graphviz's DOT: what exploring the machines finds, within small bounds."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from aioservicekit_model import service as services

__all__ = ["service_states"]

State = TypeVar("State")
Label = TypeVar("Label")
Way = tuple[str, str, str]  # from a node, to a node, and by what


def explored(
    first: State, steps: Callable[[State], Iterable[tuple[Label, State]]]
) -> Iterator[tuple[State, Label, State]]:
    """Every step from every state that can be reached."""
    found, fringe = {first}, [first]
    while fringe:
        before = fringe.pop()
        for label, after in steps(before):
            yield before, label, after
            if after not in found:
                found.add(after)
                fringe.append(after)


def digraph(nodes: tuple[str, ...], ways: set[Way]) -> str:
    """A graph in DOT, with one arrow from a node to another, however many ways there are."""
    labels: dict[tuple[str, str], list[str]] = {}
    for before, after, by in sorted(ways):
        labels.setdefault((before, after), []).extend(f"  {line}\\l" for line in by.splitlines())
    arrows = [f'"{before}" -> "{after}" [label="{"".join(lines)}"]' for (before, after), lines in labels.items()]
    return "\n    ".join(["digraph {", '"" [shape=point, width=0.12, height=0.12]', *nodes, *arrows]) + "\n}\n"


# --------------------------------------------------------------------------------------------------------------- services


def service_states() -> str:
    """The states that users see of a service; it has a dependency here, and is stopped with it."""
    world = services.World(((), (0,)))
    tables = services.CALLS + services.USERS_PART + services.UNSEEN + services.BLOCK
    rules = {row.name: ", ".join(row.rules) for row in tables}

    def steps(state: services.State) -> Iterator[tuple[tuple[int, str], services.State]]:
        for step in services.steps(world, state, tables):
            if all(service.callers < 2 for service in step.after.services):
                yield (step.service, step.name), step.after

    ways = {("", services.STOPPED, "Service()\nSV-1.1b")}
    for before, (of, name), after in explored(services.initial(world.dependencies), steps):
        for s, (was, now) in enumerate(zip(before.services, after.services, strict=True)):
            if was.phase != now.phase:
                by = f"{name}: {rules[name]}" if s == of else "its dependency stops: SV-4.5"
                ways.add((was.phase, now.phase, by))
    return digraph((), ways)
