"""`python -m benchmarks.document`: make the cost model's table from the kept results, and draw the plot."""

import json
import re
from pathlib import Path
from typing import Any

from .measure import Key, Record
from .report import plot

__all__ = ["COST_MODEL", "RESULTS", "main", "table", "with_table"]

HERE = Path(__file__).parent
COST_MODEL = HERE / "cost-model.md"
RESULTS = [HERE / "results" / f"cpython-{version}.json" for version in ("3.11", "3.13")]
LOOP = "asyncio"
TABLE = re.compile(r"(<!-- lines -->\n).*?(\n<!-- end of the lines -->)", re.DOTALL)


def table(results: list[Path]) -> str:
    """The lines, with the worst ratio on each interpreter, in bold if it misses its bound."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in results]
    versions = [report["machine"]["python"].rpartition(".")[0] for report in reports]
    rows = ["| the worst of all crowds and buffers, on asyncio | bound | " + " | ".join(versions) + " |"]
    rows.append("|---|:---:" + "|:---:" * len(versions) + "|")
    for lines in zip(*(lines_of(report) for report in reports), strict=True):
        bound = f"{'≥' if lines[0]['at_least'] else '≤'} {lines[0]['bound']:g}" if lines[0]["judged"] else ""
        rows.append(f"| {lines[0]['line']} | {bound} | " + " | ".join(worst(line) for line in lines) + " |")
    return "\n".join(rows)


def lines_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [line for line in report["lines"] if line["loop"] == LOOP]


def worst(line: dict[str, Any]) -> str:
    medians = [ratio["median"] for ratio in line["ratios"]]
    if not medians:
        return "-"
    text = f"{(min if line['at_least'] else max)(medians):.2f}"
    return f"**{text}**" if line["verdict"] == "MISSED" else text


def with_table(document: str, lines: str) -> str:
    """Return a document with its table replaced."""
    assert TABLE.search(document), "the document has no place for the table"
    return TABLE.sub(lambda found: f"{found[1]}{lines}{found[2]}", document)


def main() -> None:
    COST_MODEL.write_text(with_table(COST_MODEL.read_text(encoding="utf-8"), table(RESULTS)), encoding="utf-8")
    records = json.loads(RESULTS[-1].read_text(encoding="utf-8"))["records"]
    plot([record_of(record) for record in records], HERE / "delivery.svg")


def record_of(kept: dict[str, Any]) -> Record:
    key = Key(*(kept[field] for field in Key._fields))
    return Record(key, kept["together"], kept["samples"], kept["operations"], kept["reason"])


if __name__ == "__main__":
    main()
