"""The baseline: known debt is excused to the letter, until its day, and the file can only shrink."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from app.contracts.baseline import FILE, Settled, settle
from app.contracts.finding import Finding
from app.contracts.released import FILE as RELEASED
from app.contracts.released import Released

TODAY: Final = date(2026, 12, 1)
FOUND: Final = Finding(
    rule="imports/door", module="ordering", where="modules/ordering/crud.py", line=7, what="It crossed.", fix="Do not."
)


def entry(**changes: str) -> str:
    values = {
        "rule": '"imports/door"',
        "where": '"modules/ordering/crud.py"',
        "what": '"It crossed."',
        "reason": '"The old importer goes in spring."',
        "owner": '"Ordering team"',
        "until": "2026-12-31",
        **changes,
    }
    return "[[debt]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items() if value)


def settled(root: Path, *entries: str, found: tuple[Finding, ...] = (FOUND,), **options: bool) -> Settled:
    (root / "docs").mkdir(exist_ok=True)
    (root / FILE).write_text("\n".join(entries), encoding="utf-8")
    return settle(root, found, gates={"imports"}, today=TODAY, **options)


def faults(outcome: Settled) -> list[str]:
    return [fault.rule for fault in outcome.faults]


def test_without_a_file_everything_is_a_violation(tmp_path: Path) -> None:
    outcome = settle(tmp_path, [FOUND], gates={"imports"}, today=TODAY)
    assert (outcome.findings, outcome.known, outcome.faults) == ([FOUND], [], [])


def test_a_known_debt_is_excused_wherever_its_line_has_moved(tmp_path: Path) -> None:
    outcome = settled(tmp_path, entry())
    assert (outcome.findings, outcome.known, outcome.faults) == ([], [FOUND], [])


@pytest.mark.parametrize("field", ["rule", "where", "what"])
def test_a_debt_excuses_nothing_but_its_own_finding(tmp_path: Path, field: str) -> None:
    outcome = settled(tmp_path, entry(**{field: '"imports/other"'}))
    assert outcome.findings == [FOUND]


def test_a_debt_that_is_paid_has_to_be_deleted(tmp_path: Path) -> None:
    outcome = settled(tmp_path, entry(), found=())
    assert faults(outcome) == ["baseline/stale"]
    assert outcome.faults[0].fix == "Well done; delete the entry."


def test_a_run_that_did_not_look_everywhere_calls_no_debt_paid(tmp_path: Path) -> None:
    assert faults(settled(tmp_path, entry(), found=(), complete=False)) == []
    assert faults(settled(tmp_path, entry(rule='"data/foreign-key"'), found=())) == []


def test_a_debt_counts_up_to_its_last_day(tmp_path: Path) -> None:
    assert settled(tmp_path, entry(until="2026-12-01")).findings == []


def test_an_expired_debt_fails_and_excuses_nothing(tmp_path: Path) -> None:
    outcome = settled(tmp_path, entry(until="2026-11-30"))
    assert outcome.findings == [FOUND]
    assert faults(outcome) == ["baseline/expired"]


@pytest.mark.parametrize("field", ["rule", "where", "what", "reason", "owner", "until"])
def test_an_entry_that_says_too_little_fails_and_excuses_nothing(tmp_path: Path, field: str) -> None:
    outcome = settled(tmp_path, entry(**{field: ""}))
    assert outcome.findings == [FOUND]
    assert faults(outcome) == ["baseline/incomplete"]
    assert field in outcome.faults[0].what


def test_after_a_release_no_new_debt_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / RELEASED).write_text(Released(at=TODAY, debts=()).text(), encoding="utf-8")
    assert faults(settled(tmp_path, entry())) == ["baseline/grown"]


def test_a_debt_of_the_release_may_stay(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / RELEASED).write_text(Released(at=TODAY, debts=(FOUND.key,)).text(), encoding="utf-8")
    assert faults(settled(tmp_path, entry())) == []


@pytest.mark.parametrize("rule", ["imports/unusable", "import/door", "baseline/stale", "door"])
def test_what_no_gate_finds_or_makes_it_blind_is_no_debt(tmp_path: Path, rule: str) -> None:
    blind = dataclasses.replace(FOUND, rule=rule)
    outcome = settled(tmp_path, entry(rule=f'"{rule}"'), found=(blind,))
    assert outcome.findings == [blind]
    assert faults(outcome) == ["baseline/incomplete"]
    assert rule in outcome.faults[0].what


@pytest.mark.parametrize("until", ["2027-01-31T00:00:00", "2027-01-31T00:00:00Z", '"2027-01-31"', "12:00:00"])
def test_a_last_day_is_a_date_and_nothing_like_it(tmp_path: Path, until: str) -> None:
    assert faults(settled(tmp_path, entry(until=until))) == ["baseline/incomplete"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[debt]\n", "it is no TOML"),
        ("[[debts]]\n", r"it holds debts, and should hold \[\[debt\]\] alone"),
        ("[debt]\nrule = 1\n", r"each entry begins with \[\[debt\]\]"),
        ("debt = [1]\n", r"each entry begins with \[\[debt\]\]"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=rf"docs/BASELINE\.toml cannot be read: .*{says}"):
        settled(tmp_path, text)


def test_bytes_that_are_no_text_are_told_as_well(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"docs/BASELINE\.toml cannot be read: it is no TOML"):
        settle(tmp_path, [], gates={"imports"}, today=TODAY)
