"""`emporium contracts check` as a person meets it: exit codes, one sentence per mistake, and broken code told, not thrown."""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # comes with the server's wheel; has no annotations
import pytest
from tests.flows._shops import heeding_signals, server_of
from tests.planting import Append, Delete, Edit, Write, begin_contracts, contracts, copy_project

SYNTAX = Append(file="modules/catalog/models.py", text="def broken(:")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "house")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--gate", "dreams"), "There is no gate dreams; there are imports, "),
        (("--module", "returns"), "There is no module returns; there are catalog, ordering, users, kernel, app."),
        (("--format", "xml"), "Invalid value for '--format'"),
        (("--gates",), "No such option: --gates"),
        (("--gate", "imports", "--static", "--output", "no/such/report"), "There is no directory no/such for the report."),
        (("--gate", "imports", "--static", "--output", "docs"), "is a directory"),
        (("--gate", "imports", "--static", "--output", "/dev/full"), "cannot be written: "),
    ],
)
def test_a_wrong_argument_is_one_sentence(house: Path, arguments: tuple[str, ...], sentence: str) -> None:
    said = contracts(house, "check", *arguments)
    assert said.code == 2
    assert sentence in said.output
    assert "Traceback" not in said.output
    assert len(said.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("edit", "place", "words"),
    [
        (SYNTAX, "modules/catalog/models.py", "SyntaxError"),
        (Append(file="modules/users/service.py", text="import no_such_package"), "modules/users/", "No module named"),
        (Delete(file="modules/ordering/settings.py"), "modules/ordering/", "No module named 'ordering.settings'"),
    ],
)
def test_code_that_cannot_be_imported_is_a_finding_with_its_place(house: Path, edit: Edit, place: str, words: str) -> None:
    edit.make(house)
    said = contracts(house, "check", "--gate", "wiring", "--gate", "http", "--static", "--format", "json")
    assert said.code == 1
    assert "Traceback" not in said.output
    unusable = [finding for finding in said.findings if finding["rule"] == "http/unusable"]
    assert [finding["where"].startswith(place) for finding in unusable] == [True], said.output
    assert words in unusable[0]["what"]


def test_a_finding_of_another_module_is_left_out(house: Path) -> None:
    Append(file="modules/ordering/service.py", text="import catalog.models").make(house)
    mine = contracts(house, "check", "--gate", "imports", "--static", "--module", "ordering")
    theirs = contracts(house, "check", "--gate", "imports", "--static", "--module", "users")
    assert mine.code == 1
    assert "ordering (Ordering team)" in mine.output
    assert theirs.code == 0, theirs.output


def test_a_debt_in_the_baseline_is_excused_by_the_real_command(house: Path) -> None:
    Append(file="modules/ordering/service.py", text="import catalog.models").make(house)
    [finding, *_] = contracts(house, "check", "--gate", "imports", "--static", "--format", "json").findings
    fields = "".join(f"{name} = {json.dumps(finding[name])}\n" for name in ("rule", "where", "what"))
    entry = f'[[debt]]\n{fields}reason = "a test"\nowner = "tests"\nuntil = 2999-12-31\n'
    Write(file="docs/BASELINE.toml", text=entry).make(house)
    said = contracts(house, "check", "--gate", "imports", "--static", "--format", "json")
    assert finding["key"] not in {left["key"] for left in said.findings}


def test_a_report_can_be_written_to_a_file(house: Path) -> None:
    report = house / "report.sarif"
    said = contracts(house, "check", "--gate", "interface", "--static", "--format", "sarif", "--output", str(report))
    assert said.code == 0, said.output
    assert json.loads(report.read_text(encoding="utf-8"))["version"] == "2.1.0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whoever_stops_a_check_leaves_no_database_running(house: Path, number: signal.Signals) -> None:
    with heeding_signals():
        begun = begin_contracts(house, "check", "--gate", "data")
    with begun as running:
        deadline = time.monotonic() + 60
        while (server := server_of(house / ".data/contracts")) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server is not None
        running.send_signal(number)
        running.communicate(timeout=60)
    assert running.returncode == 130
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(server).status() == psutil.STATUS_ZOMBIE
