"""Reports: what a run found, for people (text, Markdown) and for programs (JSON, SARIF 2.1.0), grouped by module and owner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

from app.contracts.baseline import RULES as BASELINE_RULES
from app.contracts.finding import Finding
from app.contracts.run import Outcome

SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_text(outcome: Outcome) -> str:
    return "\n".join([*_text_findings(outcome), _closing(outcome)])


def _text_findings(outcome: Outcome) -> Iterator[str]:
    for module, findings in _grouped(outcome):
        yield f"{module} ({outcome.owner(module)})"
        for finding in findings:
            yield f"  {finding.place}  [{finding.rule}]"
            yield f"      {finding.what}"
            yield f"      Fix: {finding.fix}"
        yield ""


def _closing(outcome: Outcome) -> str:
    times = ", ".join(f"{ran.name} {ran.seconds:.1f}" for ran in outcome.gates)
    rules = sum(len(ran.rules) for ran in outcome.gates)
    known = f" Known debt: {len(outcome.known)} (docs/BASELINE.toml)." if outcome.known else ""
    verdict = _counted(len(outcome.findings), "violation") if outcome.findings else "Every contract holds"
    looked = f"{_counted(len(outcome.gates), 'gate')}, {_counted(rules, 'rule')}"
    return f"{verdict}: {looked}, {outcome.seconds:.1f} s ({times}).{known}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def as_markdown(outcome: Outcome) -> str:
    lines = ["# Contracts between the modules", ""]
    for module, findings in _grouped(outcome):
        lines += [f"## {module} ({outcome.owner(module)})", "", "| where | what | fix | rule |", "|---|---|---|---|"]
        for finding in findings:
            cells = (f"`{finding.place}`", finding.what, finding.fix, f"`{finding.rule}`")
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
        lines.append("")
    return "\n".join([*lines, _closing(outcome)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_json(outcome: Outcome) -> str:
    document = {
        "ok": not outcome.findings,
        "seconds": round(outcome.seconds, 3),
        "findings": [_plain(outcome, finding) for finding in outcome.findings],
        "known": [_plain(outcome, finding) for finding in outcome.known],
        "gates": [{**asdict(ran), "rules": dict(ran.rules)} for ran in outcome.gates],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _plain(outcome: Outcome, finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "gate": finding.gate, "owner": outcome.owner(finding.module), "key": finding.key}


def as_sarif(outcome: Outcome) -> str:
    """Static Analysis Results Interchange Format (OASIS SARIF 2.1.0), which code hosts show beside the changed lines."""
    rules = dict(_all_rules(outcome))
    found = {finding.rule for finding in (*outcome.findings, *outcome.known)}
    names = sorted({*rules, *found})
    index = {name: number for number, name in enumerate(names)}
    driver = {
        "name": "emporium contracts",
        "rules": [{"id": name, "shortDescription": {"text": rules.get(name, name)}} for name in names],
    }
    results = [_result(outcome, finding, index) for finding in outcome.findings]
    results += [
        {**_result(outcome, finding, index), "suppressions": [{"kind": "external", "justification": "docs/BASELINE.toml"}]}
        for finding in outcome.known
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _all_rules(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for ran in outcome.gates:
        yield from ((f"{ran.name}/{name}", sentence) for name, sentence in ran.rules.items())
    yield from ((f"baseline/{name}", sentence) for name, sentence in BASELINE_RULES.items())


def _result(outcome: Outcome, finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": "error",
        "message": {"text": f"{finding.what} Fix: {finding.fix}"},
        "locations": [_location(finding)],
        "partialFingerprints": {"emporiumContract/v1": finding.key},
        "properties": {"module": finding.module, "owner": outcome.owner(finding.module)},
    }


def _location(finding: Finding) -> dict[str, Any]:
    if "/" not in finding.where or " " in finding.where:
        return {"logicalLocations": [{"fullyQualifiedName": finding.where}]}
    place: dict[str, Any] = {"artifactLocation": {"uri": finding.where}}
    if finding.line is not None:
        place["region"] = {"startLine": finding.line}
    return {"physicalLocation": place}


def _grouped(outcome: Outcome) -> Iterator[tuple[str, list[Finding]]]:
    for module, findings in groupby(outcome.findings, key=lambda finding: finding.module):
        yield module, list(findings)


FORMATS: Final[Mapping[str, Callable[[Outcome], str]]] = {
    "text": as_text,
    "json": as_json,
    "markdown": as_markdown,
    "sarif": as_sarif,
}
