"""Reports: the same findings for people and for programs, grouped by module and owner."""

from __future__ import annotations

import json
from typing import Any, Final

from app.contracts.facts import Facts
from app.contracts.finding import Finding
from app.contracts.report import FORMATS
from app.contracts.run import Outcome, Ran

DOOR: Final = Finding(
    rule="imports/door",
    module="ordering",
    where="modules/ordering/crud.py",
    line=7,
    what="ordering.crud imports catalog.models.",
    fix="Import from catalog.interface.",
)
ROUTE: Final = Finding(
    rule="http/removed-field", module="catalog", where="GET /api/v1/products 200 /price", what="It | went.", fix="Keep it."
)
DEBT: Final = Finding(rule="imports/door", module="kernel", where="platform/kernel/x.py", what="Old.", fix="Soon.")


def outcome(*findings: Finding, known: tuple[Finding, ...] = ()) -> Outcome:
    gates = [Ran(name="imports", contract="By the door only.", rules={"door": "A door."}, seconds=0.5, found=1)]
    facts = {"ordering": Facts(name="ordering", owner="Ordering team"), "catalog": Facts(name="catalog", owner="Catalog team")}
    return Outcome(findings=findings, known=known, gates=gates, facts=facts, seconds=1.25)


def test_text_groups_by_module_and_says_owner_place_rule_and_fix() -> None:
    assert FORMATS["text"](outcome(ROUTE, DOOR)) == (
        "catalog (Catalog team)\n"
        "  GET /api/v1/products 200 /price  [http/removed-field]\n"
        "      It | went.\n"
        "      Fix: Keep it.\n"
        "\n"
        "ordering (Ordering team)\n"
        "  modules/ordering/crud.py:7  [imports/door]\n"
        "      ordering.crud imports catalog.models.\n"
        "      Fix: Import from catalog.interface.\n"
        "\n"
        "2 violations: 1 gate, 1 rule, 1.2 s (imports 0.5)."
    )


def test_text_of_a_clean_run_is_one_line_that_names_known_debt() -> None:
    text = FORMATS["text"](outcome(known=(DEBT,)))
    assert text.startswith("Every contract holds: ")
    assert text.endswith("Known debt: 1 (docs/BASELINE.toml).")


def test_markdown_is_a_table_for_each_module() -> None:
    text = FORMATS["markdown"](outcome(ROUTE, DOOR))
    assert "## ordering (Ordering team)" in text
    assert "| `GET /api/v1/products 200 /price` | It \\| went. | Keep it. | `http/removed-field` |" in text


def test_json_has_all_that_the_baseline_asks_for() -> None:
    document = json.loads(FORMATS["json"](outcome(DOOR, known=(DEBT,))))
    assert document["ok"] is False
    [finding] = document["findings"]
    assert {name: finding[name] for name in ("rule", "where", "what", "owner", "line")} == {
        "rule": "imports/door",
        "where": "modules/ordering/crud.py",
        "what": "ordering.crud imports catalog.models.",
        "owner": "Ordering team",
        "line": 7,
    }
    assert [known["module"] for known in document["known"]] == ["kernel"]
    assert document["gates"][0]["rules"] == {"door": "A door."}


def sarif(*findings: Finding, known: tuple[Finding, ...] = ()) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FORMATS["sarif"](outcome(*findings, known=known)))
    return document


def test_sarif_points_at_files_with_lines_and_names_what_is_no_file() -> None:
    [run] = sarif(DOOR, ROUTE)["runs"]
    door, route = run["results"]
    assert door["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "modules/ordering/crud.py"},
        "region": {"startLine": 7},
    }
    assert route["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "GET /api/v1/products 200 /price"}]}]


def test_sarif_results_name_rules_that_the_tool_lists() -> None:
    [run] = sarif(DOOR, ROUTE)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert {"imports/door", "http/removed-field", "baseline/stale"} <= {rule["id"] for rule in rules}


def test_sarif_shows_known_debt_as_suppressed() -> None:
    [run] = sarif(known=(DEBT,))["runs"]
    assert run["results"][0]["suppressions"] == [{"kind": "external", "justification": "docs/BASELINE.toml"}]


def test_sarif_knows_a_finding_again_when_its_line_moves() -> None:
    prints = [run["results"][0]["partialFingerprints"] for run in sarif(DOOR)["runs"]]
    assert prints == [{"emporiumContract/v1": DOOR.key}]
