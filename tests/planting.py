"""Violations on purpose: planted in a throw-away copy of the project, on which the real command has to see them.

planted     plants a violation and answers what `emporium contracts check` said of it
said        the same, for tests of what it did not say

Plantings that do not disturb each other share a copy and a run of their gate's command, for speed. In `make prove`, and with
EMPORIUM_PLANT_ALONE=1, each has a copy and a run of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from app.contracts.laboratory import FOLDER
from kernel.database.embedded import EmbeddedPostgres

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDERS: Final = ("modules", "platform", "migrations", "tests", "docs")
FILES: Final = ("alembic.ini", "importlinter.ini", "pyproject.toml", "constraints.txt", "README.md", "Makefile", ".env.example")
ALONE: Final = "EMPORIUM_PLANT_ALONE"
_MARK: Final = "planted"


@dataclass(frozen=True, kw_only=True)
class Append:
    """Add lines to the end of a file, which is made when missing. `x.py` may be the folder `x/`: then its `__init__.py`."""

    file: str
    text: str

    def make(self, house: Path) -> None:
        path = house / self.file
        if not path.exists() and path.with_suffix("").is_dir():
            path = path.with_suffix("") / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{self.text}\n")


@dataclass(frozen=True, kw_only=True)
class Replace:
    """Put `new` for the one place where `old` stands in the file."""

    file: str
    old: str
    new: str

    def make(self, house: Path) -> None:
        path = house / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.file} has {text.count(self.old)} times {self.old!r}: plant it elsewhere"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Write:
    """Make a file, or put another one in its place."""

    file: str
    text: str

    def make(self, house: Path) -> None:
        path = house / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Delete:
    file: str

    def make(self, house: Path) -> None:
        (house / self.file).unlink()


Edit = Append | Replace | Write | Delete


@dataclass(frozen=True, kw_only=True)
class Planting:
    """One violation, and what a finding has to say of it."""

    claim: str
    rule: str
    """Of the finding, with its gate: `imports/door`."""
    edits: Sequence[Edit]
    where: str
    """Stands in the finding's place (`file:line`, route, table …)."""
    says: str = ""
    """Stands in `what`."""
    fix: str = ""
    """Stands in `fix`."""
    alone: bool = False
    """Disturbs others: breaks imports, stops the gate, edits what they edit."""
    live: bool = False
    """Seen only with a database."""
    arguments: Sequence[str] = ()
    """More of the command line."""

    @property
    def gate(self) -> str:
        return self.rule.partition("/")[0]

    @property
    def command(self) -> tuple[str, ...]:
        static = () if self.live else ("--static",)
        return ("check", "--gate", self.gate, "--format", "json", *static, *self.arguments)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the command answered: exit code, findings, and all that it printed."""

    code: int
    findings: Sequence[Mapping[str, Any]] = field(default_factory=list)
    output: str = ""

    def place(self, finding: Mapping[str, Any]) -> str:
        return finding["where"] if finding["line"] is None else f"{finding['where']}:{finding['line']}"

    def about(self, planting: Planting) -> list[Mapping[str, Any]]:
        """The findings of this rule, at this place, in these words."""
        return [
            finding
            for finding in self.findings
            if finding["rule"] == planting.rule
            and planting.where in self.place(finding)
            and planting.says in finding["what"]
            and planting.fix in finding["fix"]
        ]


def copy_project(to: Path) -> Path:
    """Everything that the checks look at, compiled files included: a copy that has to compile again takes a second more."""
    for name in FOLDERS:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns(".data"))
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, to / name)
    return to


def begin_contracts(house: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """`emporium contracts …` of the copy, running."""
    sources = [str(house / "modules"), str(house / "platform"), str(house)]
    inherited = {name: value for name, value in os.environ.items() if not re.match("DATABASE_|DB_|EMPORIUM_", name)}
    return subprocess.Popen(
        [sys.executable, "-c", "from app.cli.main import main; main()", "contracts", *arguments],
        cwd=house,
        env={**inherited, "PYTHONPATH": os.pathsep.join(sources), "NO_COLOR": "1", "COLUMNS": "200", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def contracts(house: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Said:
    """Run `emporium contracts …` of the copy, and read its report when it is JSON."""
    with begin_contracts(house, *arguments, environment=environment) as running:
        try:
            printed, told = running.communicate(timeout=300)
        finally:
            running.kill()
    output = printed + told
    try:
        findings = json.loads(printed)["findings"]
    except (ValueError, KeyError, TypeError):
        findings = []
    return Said(code=running.returncode, findings=findings, output=output)


@pytest.fixture(scope="session")
def _laboratory(run_directory: Path) -> Iterator[Path]:
    """A server for the commands of copies, which find it running; shared by all workers, stopped by the last one."""
    directory = run_directory / "laboratory"
    with EmbeddedPostgres(directory / FOLDER, durable=False):
        yield directory


@pytest.fixture
def laboratory_environment(_laboratory: Path) -> dict[str, str]:
    """The variables with which the command of a copy finds its databases."""
    return {"EMPORIUM_DATA_DIR": str(_laboratory), "EMPORIUM_ENV": "test"}


@pytest.fixture
def planted(
    said: Callable[[Planting, Sequence[Planting]], Said], record_property: Callable[[str, object], None]
) -> Callable[[Planting, Sequence[Planting]], Said]:
    """`planted(planting, all)`: as `said`, and counted in the report."""

    def plant(planting: Planting, others: Sequence[Planting] = ()) -> Said:
        record_property(_MARK, planting.rule)
        return said(planting, others)

    return plant


@pytest.fixture
def said(request: pytest.FixtureRequest, tmp_path: Path, run_directory: Path) -> Callable[[Planting, Sequence[Planting]], Said]:
    """`said(planting, all)`: what the command says of `planting`, planted together with those of `all` that can share."""

    def plant(planting: Planting, others: Sequence[Planting] = ()) -> Said:
        environment = request.getfixturevalue("laboratory_environment") if planting.live else {}
        together = [planting]
        if not planting.alone and not os.environ.get(ALONE):
            together = [other for other in others if not other.alone and other.command == planting.command]
        if len(together) == 1:
            return _plant(tmp_path / "house", together, environment)
        return _shared(run_directory, tmp_path / "house", together, environment)

    return plant


def _plant(house: Path, plantings: Sequence[Planting], environment: Mapping[str, str]) -> Said:
    copy_project(house)
    for planting in plantings:
        for edit in planting.edits:
            edit.make(house)
    said = contracts(house, *plantings[0].command, environment=environment)
    shutil.rmtree(house)
    return said


def _shared(run_directory: Path, house: Path, plantings: Sequence[Planting], environment: Mapping[str, str]) -> Said:
    """The first worker that needs it plants and runs; the others read what was said."""
    name = hashlib.sha256(repr([planting.claim for planting in plantings]).encode()).hexdigest()[:16]
    kept = run_directory / f"planted-{name}.json"
    with _alone(kept.with_suffix(".lock")):
        if not kept.exists():
            said = _plant(house, plantings, environment)
            kept.write_text(json.dumps({"code": said.code, "findings": list(said.findings), "output": said.output}))
    return Said(**json.loads(kept.read_text()))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def assert_caught(said: Said, planting: Planting) -> None:
    assert said.about(planting), f"not caught: {planting.rule} at {planting.where}\n{said.output}"
    assert said.code == 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """`violations planted N, caught N`, by gate."""
    reports = [report for verdict in ("passed", "failed") for report in terminalreporter.stats.get(verdict, [])]
    rules: dict[str, list[bool]] = {}
    for report in reports:
        for name, rule in getattr(report, "user_properties", []):
            if name == _MARK and report.when == "call":
                rules.setdefault(rule.partition("/")[0], []).append(report.passed)
    if rules:
        terminalreporter.section("violations on purpose")
        for gate, caught in sorted(rules.items()):
            terminalreporter.write_line(f"{gate}: planted {len(caught)}, caught {sum(caught)}")
        every = [passed for caught in rules.values() for passed in caught]
        terminalreporter.write_line(f"violations planted {len(every)}, caught {sum(every)}")
