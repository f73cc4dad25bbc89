"""`make prove`: full sizes, other Pythons, PostgreSQL 16, a browser, a pooler, 5,000 stories of the model.

A call takes about an hour (`--minutes`). What passed for this tree of files is not done again, and what did not fit is done by
the next call. Exit codes: 0 all of it passed (or was skipped for want of a program), 1 something failed, 3 nothing failed, and
something is still to be done.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".data" / "prove"
STATE = HOME / "state.json"
REPORT = HOME / "report.md"
SALES = ROOT.parent / "shared/data/online-retail/2010-12.csv.gz"
NO_TESTS = 5  # how pytest ends when no test bears the mark
UNFINISHED = 3
NOT_YET = "not yet"
FULL_SIZE = "prove and not chromium and not pgbouncer"
MODEL = "tests/flows/test_model.py"
LONG = {
    "races": ("tests/flows/test_races.py", 1),
    "outages": ("tests/flows/test_outages.py", 3),
    "crashes": ("tests/flows/test_killed_server.py", 3),
}
"""Files whose full size takes minutes: steps of their own, so that what passed need not run again after another's failure."""
GATES = {"imports": 3, "interface": 4, "data": 3, "http": 3, "events": 2, "migrations": 5, "wiring": 2, "work": 4}
"""Of `emporium contracts check`: minutes that its plantings take when each has a copy and a run of its own."""
SLICES = 10
STORIES = 500
"""Of each slice; `tests/flows/test_model.py` knows how many these are."""

Command = tuple[list[str], dict[str, str]]


@dataclass(frozen=True)
class Step:
    name: str
    commands: list[Command]
    minutes: float
    """What it takes on two cores, as long as this machine has not tried."""
    lacking: str | None = None
    """What this machine lacks for the step, in a few words; the step is then skipped by name."""


@dataclass
class Result:
    name: str
    verdict: str
    seconds: float
    note: str = ""


@dataclass
class Progress:
    """What was done for one tree of files; another tree starts afresh, but for what is known of how long things take."""

    tree: str
    results: dict[str, Result] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each step, when it last passed, whatever the tree."""

    @classmethod
    def load(cls, tree: str) -> Progress:
        try:
            stored = json.loads(STATE.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return cls(tree)
        results = {name: Result(**result) for name, result in stored["results"].items()}
        seconds = stored.get("seconds") or {name: r.seconds for name, r in results.items() if r.verdict == "passed"}
        return cls(tree, results if stored.get("tree") == tree else {}, seconds)

    def save(self) -> None:
        draft = STATE.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        draft.replace(STATE)

    def note(self, result: Result) -> None:
        self.results[result.name] = result
        if result.verdict == "passed":
            self.seconds[result.name] = result.seconds
        self.save()

    def estimate(self, step: Step) -> float:
        return self.seconds.get(step.name, 60 * step.minutes)


def steps(workers: str, sales: Path) -> Iterator[Step]:
    """What tells most comes first."""
    yield Step("every check of `make test`", [([sys.executable, "tests/checks.py", "--workers", workers], {})], 10)
    yield Step(
        "contracts at full size", [([str(Path(sys.executable).with_name("emporium")), "contracts", "check", "--full"], {})], 12
    )
    for name, (file, minutes) in LONG.items():
        yield Step(f"{name} at full size", [_pytest(FULL_SIZE, file)], minutes)
    others = (f"--ignore={file}" for file in (MODEL, *(file for file, _ in LONG.values())))
    yield Step("other tests at full size", [_pytest(FULL_SIZE, *others)], 3)
    yield Step("pages in Chromium", [_pytest("chromium")], 1, _first_missing("chromium", "chromedriver"))
    yield Step("behind PgBouncer", [_pytest("pgbouncer")], 1, _first_missing("pgbouncer"))
    pytest = [sys.executable, "-m", "pytest", "-n", workers]
    # A run's server and its data live in a temporary directory, and each version names its own below that.
    yield Step("tests on PostgreSQL 16", [(pytest, {"PGSERVER_POSTGRES_VERSION": "16"})], 7)
    replay = [sys.executable, "benchmarks/replay_online_retail.py", str(sales)]
    yield Step("replay of a month of real sales", [(replay, {})], 3, None if sales.exists() else f"file {sales}")
    for gate, minutes in GATES.items():
        command = [*pytest, "tests/contracts/test_planted.py", "-k", f"names_it and {gate}-"]
        yield Step(f"violations of {gate}, each planted alone", [(command, {"EMPORIUM_PLANT_ALONE": "1"})], minutes)
    for version in ("3.12", "3.13"):
        interpreter = _python(version)
        lacking = None if interpreter else f"python{version}"
        yield Step(f"tests on Python {version}", _on_other_python(version, interpreter or "", workers), 8, lacking)
    for number in range(1, SLICES + 1):
        first, last = (number - 1) * STORIES + 1, number * STORIES
        command, _ = _pytest(FULL_SIZE, "-n", workers, MODEL)
        yield Step(f"the model, stories {first} to {last}", [(command, {"EMPORIUM_MODEL_SLICE": str(number)})], 5)


def _pytest(marks: str, *arguments: str) -> Command:
    return [sys.executable, "-m", "pytest", "-m", marks, *arguments], {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="2", help="how many processes run the tests")
    parser.add_argument("--sales", type=Path, default=SALES, help="the retailer's file, for the replay")
    parser.add_argument("--minutes", type=float, default=60, help="begin nothing that will not be over by then (60)")
    parser.add_argument("--afresh", action="store_true", help="forget what was done for this tree")
    options = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    progress = Progress.load(tree_hash())
    if options.afresh:
        progress.results.clear()
    results = work(list(steps(options.workers, options.sales)), progress, seconds=60 * options.minutes)
    REPORT.write_text(report(progress.tree, results), encoding="utf-8")
    print(f"\n{REPORT.read_text(encoding='utf-8')}\nSaved as {REPORT.relative_to(ROOT)}")
    return exit_code(results)


def work(todo: list[Step], progress: Progress, *, seconds: float) -> list[Result]:
    """Do what is still to be done and fits into this time. The first of it is done in any case, or it never would be."""
    started, begun = time.monotonic(), 0
    for number, step in enumerate(todo, 1):
        gone = time.monotonic() - started
        print(f"\n[{number}/{len(todo)}] {step.name} ({_minutes(gone)} gone, {_minutes(seconds - gone)} left)", flush=True)
        result = known_of(step, progress.results.get(step.name))
        if result is None and begun and gone + progress.estimate(step) > seconds:
            print(f"not yet: it takes about {_minutes(progress.estimate(step))}", flush=True)
            result = _put_off(step, progress)
        if result is None:
            begun += 1
            result = run(step)
        progress.note(result)
    return [progress.results[step.name] for step in todo]


def exit_code(results: list[Result]) -> int:
    verdicts = {result.verdict for result in results}
    return 1 if "failed" in verdicts else UNFINISHED if NOT_YET in verdicts else 0


def known_of(step: Step, before: Result | None) -> Result | None:
    """What can be said of it without running it."""
    if before and before.verdict == "passed":
        print(f"passed before, in {before.seconds:.0f} s", flush=True)
        return before
    if step.lacking:
        print(f"skipped: this machine has no {step.lacking}", flush=True)
        return Result(step.name, "skipped", 0, f"no {step.lacking}")
    return None


def _put_off(step: Step, progress: Progress) -> Result:
    before = progress.results.get(step.name)
    if before and before.verdict == "failed":
        # It stays so until it has passed.
        return before
    return Result(step.name, NOT_YET, 0, f"takes about {_minutes(progress.estimate(step))}")


def run(step: Step) -> Result:
    started = time.monotonic()
    log = HOME / f"{re.sub('[^a-z0-9.]+', '-', step.name.lower()).strip('-')}.log"
    code, last_line = _run_all(step.commands, log)
    verdict = {0: "passed", NO_TESTS: "skipped"}.get(code, "failed")
    return Result(step.name, verdict, time.monotonic() - started, last_line)


def _run_all(commands: list[Command], log: Path) -> tuple[int, str]:
    """Run until one fails; everything is shown, and kept in `log`."""
    code, last_line = 0, ""
    with log.open("w", encoding="utf-8") as kept:
        for command, environment in commands:
            for line in (lines := _Lines(command, environment)):
                print(line, end="", flush=True)
                kept.write(line)
                last_line = line.strip("= \n") or last_line
            if code := lines.code:
                break
    return code, last_line


class _Lines:
    """The output of a command, line by line, and its exit code after the last."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command = command
        self._environment = environment
        self.code = -1

    def __iter__(self) -> Iterator[str]:
        with subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={**os.environ, **self._environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout
            yield from process.stdout
        self.code = process.returncode


def tree_hash() -> str:
    """The hash of every tracked and every new file as it stands now, committed or not."""
    index = HOME / "index"
    index.unlink(missing_ok=True)
    try:
        _git("read-tree", "HEAD", index=index)
        _git("add", "--all", index=index)
        return _git("write-tree", index=index)
    finally:
        index.unlink(missing_ok=True)


def _git(*arguments: str, index: Path) -> str:
    environment = {**os.environ, "GIT_INDEX_FILE": str(index)}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def report(tree: str, results: list[Result]) -> str:
    lines = [f"# Proof of tree {tree[:12]}", "", "| step | verdict | time | last line |", "|---|---|---:|---|"]
    lines += [f"| {r.name} | {r.verdict} | {r.seconds:.0f} s | {r.note.replace('|', '/')} |" for r in results]
    count = {verdict: sum(r.verdict == verdict for r in results) for verdict in ("passed", "failed", "skipped", NOT_YET)}
    closing = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    lines += ["", f"{closing}, in {sum(r.seconds for r in results) / 60:.1f} minutes", ""]
    failed, open_ = ([r.name for r in results if r.verdict == verdict] for verdict in ("failed", NOT_YET))
    if failed:
        lines += [f"Failed: {'; '.join(failed)}.", ""]
    if open_:
        lines += [f"Not yet proved: {'; '.join(open_)}. `make prove` goes on there.", ""]
    return "\n".join(lines)


def _minutes(seconds: float) -> str:
    return f"{max(0.0, seconds) / 60:.1f} min"


def _on_other_python(version: str, interpreter: str, workers: str) -> list[Command]:
    """Install into a virtual environment of its own, then run the tests there."""
    home = HOME / f"venv-{version}"
    python = str(home / "bin/python")
    pinned = {"PIP_CONSTRAINT": "constraints.txt", "PIP_BUILD_CONSTRAINT": "constraints.txt"}
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[dev]"]
    return [
        ([interpreter, "-m", "venv", str(home)], {}),
        (install, pinned),
        ([python, "-m", "pytest", "-n", workers], {}),
    ]


def _python(version: str) -> str | None:
    """`pythonX.Y` from the PATH, or from pyenv, whose shims answer for chosen versions only."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in filter(None, candidates):
        probe = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if probe.returncode == 0 and probe.stdout.startswith(f"Python {version}."):
            return candidate
    return None


def _first_missing(*programs: str) -> str | None:
    # Debian keeps PgBouncer where an ordinary person's PATH does not lead.
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
    return next((program for program in programs if not shutil.which(program, path=path)), None)


if __name__ == "__main__":
    sys.exit(main())
