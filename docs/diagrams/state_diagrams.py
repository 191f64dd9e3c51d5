"""The diagrams of states, as Graphviz's DOT: what exploring the machines finds, within small bounds."""

from aioservicekit_model.explorer import explore
from aioservicekit_model.service import ACTIONS
from aioservicekit_model.service.machine import STOPPED, World
from aioservicekit_model.service.properties import bounded

__all__ = ["service_states"]

Way = tuple[str, str, str]  # from a node, to a node, and by what


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
    graph = explore(bounded(World(((), (0,))), ACTIONS))
    rules = {action.name: ", ".join(action.rules) for action in ACTIONS}
    ways = {("", STOPPED, "Service()\nSV-1.1b")}
    for number, before in enumerate(graph.states):
        for by, after in graph.steps(number):
            label = graph.labels[by]
            for s, (was, now) in enumerate(zip(before.services, graph.states[after].services, strict=True)):
                if was.phase != now.phase:
                    own = f"{label.action}: {rules[label.action]}"
                    ways.add((was.phase, now.phase, own if s == label.service else "its dependency stops: SV-4.5"))
    return digraph((), ways)
