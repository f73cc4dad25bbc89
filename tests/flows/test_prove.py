"""`make prove` keeps to its time, goes on where it was, and says what is open."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import prove
from prove import NOT_YET, Progress, Step, exit_code, report, work


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the steps of a test leave a letter each."""
    monkeypatch.setattr(prove, "HOME", tmp_path)
    monkeypatch.setattr(prove, "STATE", tmp_path / "state.json")
    return tmp_path / "done"


def step(name: str, done: Path, *, minutes: float = 1, code: int = 0, lacking: str | None = None) -> Step:
    script = f"import sys; open({str(done)!r}, 'a').write({name!r}); sys.exit({code})"
    return Step(name, [([sys.executable, "-c", script], {})], minutes, lacking)


def call(todo: list[Step], *, minutes: float = 60, tree: str = "a tree") -> list[prove.Result]:
    """As a process of its own would: what it knows is in the file."""
    return work(todo, Progress.load(tree), seconds=60 * minutes)


def verdicts(results: list[prove.Result]) -> list[str]:
    return [result.verdict for result in results]


def test_what_does_not_fit_is_put_off_and_the_next_call_goes_on_there(done: Path) -> None:
    todo = [step("a", done, minutes=8), step("b", done, minutes=20), step("c", done, minutes=9)]
    first = call(todo, minutes=10)
    assert verdicts(first) == ["passed", NOT_YET, "passed"]
    assert exit_code(first) == prove.UNFINISHED
    second = call(todo, minutes=10)
    assert verdicts(second) == ["passed"] * 3
    assert exit_code(second) == 0
    assert done.read_text() == "acb"


def test_a_step_longer_than_all_the_time_there_is_is_begun_when_it_is_first(done: Path) -> None:
    todo = [step("a", done), step("long", done, minutes=90), step("longer", done, minutes=99)]
    assert verdicts(call(todo)) == ["passed", NOT_YET, NOT_YET]
    assert verdicts(call(todo)) == ["passed", "passed", NOT_YET]
    assert verdicts(call(todo)) == ["passed"] * 3


def test_how_long_a_step_took_counts_from_then_on_and_for_other_trees(done: Path) -> None:
    todo = [step("a", done), step("b", done, minutes=59.9)]
    assert verdicts(call(todo)) == ["passed", "passed"]
    assert verdicts(call(todo, minutes=1, tree="another")) == ["passed", "passed"]
    assert done.read_text() == "abab"


def test_a_failure_is_one_until_it_has_passed(done: Path) -> None:
    broken = [step("a", done, code=1), step("b", done, minutes=50)]
    assert exit_code(call(broken)) == 1
    assert verdicts(call([step("new", done), step("a", done, minutes=90)])) == ["passed", "failed"]
    assert verdicts(call([step("a", done), step("b", done)])) == ["passed", "passed"]


def test_what_the_machine_lacks_is_skipped_by_name(done: Path) -> None:
    results = call([step("a", done, lacking="chromium")])
    assert [(result.verdict, result.note) for result in results] == [("skipped", "no chromium")]
    assert exit_code(results) == 0
    assert not done.exists()


def test_the_report_names_what_failed_and_what_is_open(done: Path) -> None:
    text = report("a tree", call([step("a", done, code=1), step("b", done), step("c", done, minutes=99)]))
    assert "1 passed, 1 failed, 1 not yet" in text
    assert "Failed: a." in text
    assert "Not yet proved: c. `make prove` goes on there." in text


def test_an_unreadable_state_is_none(done: Path) -> None:
    prove.STATE.write_text("{")
    assert Progress.load("a tree") == Progress("a tree")


def test_the_files_with_steps_of_their_own_are_there_and_all_stories_are_told() -> None:
    assert all((prove.ROOT / file).is_file() for file in (prove.MODEL, *(file for file, _ in prove.LONG.values())))
    environments = [environment for step in prove.steps("2", Path("none")) for _, environment in step.commands]
    slices = {environment["EMPORIUM_MODEL_SLICE"] for environment in environments if "EMPORIUM_MODEL_SLICE" in environment}
    assert len(slices) * prove.STORIES == 5_000
