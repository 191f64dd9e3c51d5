"""Draw the diagrams: `python docs/diagrams/draw.py` makes each picture of `PICTURES` anew, and needs Graphviz's `dot`.

Diagrams of states are made from the model's machines by `state_diagrams`; any other has a `.dot` file beside it. A picture says of
which source it was made, so that the build can tell, without Graphviz, when one is out of date. It is legible on any page: it has
a background of its own, and is dark where the reader prefers dark.
"""

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from state_diagrams import channel_states, operation_states, service_states

ROOT = Path(__file__).parents[2]

# Each picture's source.
PICTURES: dict[Path, Callable[[], str]] = {
    ROOT / "specs" / "diagrams" / "channel-states.svg": channel_states,
    ROOT / "specs" / "diagrams" / "operation-states.svg": operation_states,
    ROOT / "specs" / "diagrams" / "service-states.svg": service_states,
    **{
        path.with_suffix(".svg"): path.read_text
        for folder in ("specs", "docs")
        for path in ROOT.glob(f"{folder}/diagrams/*.dot")
    },
}

LAYOUT = {
    "-G": ["bgcolor=white", "pad=0.15", "nodesep=0.2", "ranksep=0.3"],
    "-N": ["shape=box", "style=rounded", "fontname=DejaVu Sans", "fontsize=12", "margin=0.14,0.07", "height=0.3"],
    "-E": ["fontname=DejaVu Sans", "fontsize=10", "arrowsize=0.7"],
}

# DejaVu Sans is wide: what is laid out with it has room for any other font.
STYLE = """
text { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }
.graph > polygon { fill: #ffffff }
.node path, .node polygon { fill: #e8f1fb; stroke: #0b5cad }
.node ellipse { fill: #1f2328; stroke: #1f2328 }
.end path { fill: #eaf6ea; stroke: #2d7d32 }
.outside path { fill: #fdf3e1; stroke: #9a6700 }
.edge path { stroke: #59636e }
.edge polygon { fill: #59636e; stroke: #59636e }
.edge text { fill: #454c54 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .graph > polygon { fill: #131416 }
  .node path, .node polygon { fill: #14283d; stroke: #7cb8ff }
  .node ellipse { fill: #e6edf3; stroke: #e6edf3 }
  .end path { fill: #15301a; stroke: #6cc072 }
  .outside path { fill: #33270f; stroke: #e0b050 }
  .edge path { stroke: #9aa4ae }
  .edge polygon { fill: #9aa4ae; stroke: #9aa4ae }
  .edge text { fill: #c3cad1 }
}
"""


def fingerprint(source: str) -> str:
    """What a picture is made of: its source, and how it is drawn."""
    return hashlib.sha256(f"{source}{LAYOUT}{STYLE}".encode()).hexdigest()


def draw(source: str) -> str:
    """The SVG of a diagram."""
    options = [f"{kind}{value}" for kind, values in LAYOUT.items() for value in values]
    done = subprocess.run(["dot", "-Tsvg", *options], input=source, capture_output=True, text=True, check=True)
    svg = done.stdout[done.stdout.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>.*?</title>\n?", "", svg)
    head, opening, rest = svg.partition('<g id="graph0"')
    return f"<!-- {fingerprint(source)} -->\n{head}<style>{STYLE}</style>\n{opening}{rest}"


if __name__ == "__main__":
    for picture, source in PICTURES.items():
        picture.write_text(draw(source()), "utf-8")
        print(picture.relative_to(ROOT))
