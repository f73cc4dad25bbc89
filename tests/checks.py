"""Runs every kind of check, whatever the others say; `make test` calls it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ["modules", "platform", "migrations", "tests", "benchmarks"]


@dataclass(frozen=True)
class Outcome:
    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    planted: int = 0
    """Violations on purpose."""
    caught: int = 0
    said: str = ""
    """What has not been shown yet."""


@dataclass(frozen=True)
class Check:
    name: str
    command: list[str]
    counts: Path | None = None
    """The JUnit file in which the command counts its tests; without one, the check counts as one."""
    aside: bool = False
    """Runs beside the others, and is shown after them."""

    def run(self) -> Outcome:
        started = time.monotonic()
        said = ""
        if self.aside:
            done = subprocess.run(
                self.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            code, said = done.returncode, done.stdout
        else:
            print(f"\n== {self.name}", flush=True)
            if self.counts:
                self.counts.parent.mkdir(parents=True, exist_ok=True)
                self.counts.unlink(missing_ok=True)
            code = subprocess.run(self.command, cwd=ROOT, check=False).returncode
        passed, failed, skipped = _count(self.counts, code)
        took = time.monotonic() - started
        return Outcome(self.name, passed, failed, skipped, took, *_violations(self.counts), said=said)


def checks(workers: str) -> Iterator[Check]:
    yield Check("ruff check", [_tool("ruff"), "check", *CODE])
    yield Check("ruff format", [_tool("ruff"), "format", "--check", *CODE])
    yield Check("mypy", [_tool("mypy"), *CODE], aside=True)
    yield Check("contracts between the modules", [_tool("emporium"), "contracts", "check"], aside=True)
    counts = ROOT / ".data/test/pytest.xml"
    # A worker that is done takes tests of the other: some take half a minute, and would be left alone at the end.
    pytest = [sys.executable, "-m", "pytest", "-n", workers, "--dist", "worksteal", f"--junit-xml={counts}"]
    yield Check("pytest", pytest, counts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="2", help="how many processes run the tests")
    outcomes = run_all(list(checks(parser.parse_args().workers)))
    _summarise(outcomes)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def run_all(wanted: list[Check]) -> list[Outcome]:
    """In order, with those aside beside them: the tests wait for databases and processes a seventh of their time."""
    with ThreadPoolExecutor() as threads:
        aside = [threads.submit(check.run) for check in wanted if check.aside]
        outcomes = [check.run() for check in wanted if not check.aside]
        beside = [check.result() for check in aside]
    for outcome in beside:
        print(f"\n== {outcome.name}\n{outcome.said}", end="", flush=True)
    return [*outcomes, *beside]


def _count(counts: Path | None, code: int) -> tuple[int, int, int]:
    if counts is None or not counts.exists():
        return (0, 1, 0) if code else (1, 0, 0)
    suite = ET.parse(counts).getroot().find("testsuite")  # noqa: S314 our own pytest wrote it
    assert suite is not None
    total, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors
    return total - failed - skipped, failed or int(code != 0), skipped


def _violations(counts: Path | None) -> tuple[int, int]:
    """How many were planted, and how many of them were caught."""
    if counts is None or not counts.exists():
        return 0, 0
    cases = ET.parse(counts).getroot().iter("testcase")  # noqa: S314 our own pytest wrote it
    planted = [case for case in cases if case.find("properties/property[@name='planted']") is not None]
    return len(planted), sum(case.find("failure") is None and case.find("error") is None for case in planted)


def _summarise(outcomes: list[Outcome]) -> None:
    print("\n== summary")
    for outcome in outcomes:
        verdict = "FAILED" if outcome.failed else "ok"
        print(f"  {verdict:<7} {outcome.name:<28} {outcome.seconds:6.1f} s")
    passed, failed, skipped = (sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped"))
    note = f" ({skipped} skipped)" if skipped else ""
    planted, caught = (sum(getattr(o, key) for o in outcomes) for key in ("planted", "caught"))
    print(f"\nviolations planted {planted}, caught {caught}")
    print(f"\n{passed} passed, {failed} failed{note}")


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    sys.exit(main())
