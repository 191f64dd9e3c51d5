"""The report as JSON and as JUnit XML."""

from collections import Counter
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from aioservicekit_model.rules import RULES, section

from ..verdicts import Report

__all__ = ["as_json", "as_junit"]


def as_json(reports: list[Report], version: str) -> dict[str, Any]:
    """The content of the JSON report."""
    return {
        "version": version,
        "targets": [
            {
                "target": report.target,
                "conforms": report.conforms,
                "without": report.without,
                "cases": report.explored,
                "given_up": report.given_up,
                "reached": report.reached,
                **({"exhausted": report.exhausted} if report.exhausted else {}),
                "rules": [
                    {
                        "rule": v.rule,
                        "level": str(v.level),
                        "verdict": v.verdict,
                        "cases": v.cases,
                        "evidence": v.evidence,
                        **(
                            {
                                "expected": v.expected,
                                "observed": v.observed,
                                "because": v.because,
                                "obligations": v.obligations,
                                "history": v.history,
                            }
                            if v.observed
                            else {}
                        ),
                        **({"replay": v.replay} if v.replay else {}),
                    }
                    for v in report.verdicts
                ],
            }
            for report in reports
        ],
    }


def as_junit(reports: list[Report]) -> "ElementTree[Element]":
    """The JUnit report, with one suite per target and one case per rule."""
    suites = Element("testsuites")
    for report in reports:
        counts = Counter(report.status(v) for v in report.verdicts)
        suite = SubElement(
            suites,
            "testsuite",
            name=report.target,
            tests=str(len(report.verdicts)),
            failures=str(counts["failed"]),
            skipped=str(counts["skipped"]),
        )
        properties = SubElement(suite, "properties")
        told = [("cases", report.explored), ("given up", report.given_up)]
        for name, value in (*told, *(("exhausted", line) for line in report.exhausted)):
            SubElement(properties, "property", name=name, value=str(value))
        for v in report.verdicts:
            name = f"{report.target.replace(':', '.')}.{section(v.rule)}"
            case = SubElement(suite, "testcase", classname=name, name=f"{v.rule} {RULES[v.rule].title}")
            if report.status(v) == "skipped":
                SubElement(case, "skipped", message=v.evidence)
            elif report.status(v) == "failed":
                said = f"expected {v.expected}; observed {v.observed}" if v.observed else v.evidence
                failure = SubElement(case, "failure", type=v.verdict, message=said)
                failure.text = "\n".join((RULES[v.rule].sentence, "", *v.clauses, *v.history))
    indent(suites)
    return ElementTree(suites)
