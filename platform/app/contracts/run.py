"""Runs gates and gathers what they found; a gate that cannot look is a finding, too."""

from __future__ import annotations

import importlib
import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.contracts import baseline
from app.contracts.facts import Facts
from app.contracts.finding import Finding
from app.contracts.gate import Bench, Check, Gate
from app.contracts.gates import GATES

if TYPE_CHECKING:
    from app.contracts.laboratory import Laboratory

ROOT: Final = Path(__file__).resolve().parents[3]
UNUSABLE: Final = {"unusable": "The gate can look: the code can be imported, its tools are installed, a database can be had."}
"""A rule of every gate."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One gate of a run."""

    name: str
    contract: str
    rules: Mapping[str, str]
    seconds: float
    found: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run found, sorted; `known` are debts of the baseline."""

    findings: Sequence[Finding]
    known: Sequence[Finding]
    gates: Sequence[Ran]
    facts: Mapping[str, Facts]
    seconds: float

    def owner(self, module: str) -> str:
        return self.facts[module].owner if module in self.facts else "Platform team"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to check: gates by name (none: all), modules by name (none: all)."""

    gates: Sequence[str] = ()
    modules: Sequence[str] = ()
    live: bool = True
    full: bool = False
    root: Path = field(default=ROOT)


def run(request: Request, *, today: date | None = None) -> Outcome:
    """Check. Errors: ValueError, one sentence: an unknown gate or module, a baseline that cannot be read."""
    started = time.monotonic()
    names = _known(request.gates, GATES, "gate")
    with ExitStack() as stack:
        bench = Bench(
            root=request.root,
            full=request.full,
            only=frozenset(request.modules),
            open_laboratory=_opener(stack) if request.live else None,
        )
        _known(request.modules, [*bench.facts, "kernel", "app"], "module")
        found, gates = _run_gates(bench, names, live=request.live)
    settled = baseline.settle(
        request.root,
        found,
        gates=set(names),
        today=today or datetime.now(UTC).date(),
        complete=request.live and not request.modules,
    )
    findings = [*settled.findings, *settled.faults]
    return Outcome(
        findings=_in_order(_of(request.modules, findings)),
        known=_in_order(_of(request.modules, settled.known)),
        gates=gates,
        facts=bench.facts,
        seconds=time.monotonic() - started,
    )


def _opener(stack: ExitStack) -> Callable[[], Laboratory]:
    def open_laboratory() -> Laboratory:
        from app.contracts.laboratory import Laboratory  # imports the modules, which may be impossible

        return stack.enter_context(Laboratory())

    return open_laboratory


def _known(asked: Sequence[str], there_are: Iterable[str], kind: str) -> list[str]:
    names = list(there_are)
    for name in asked:
        if name not in names:
            raise ValueError(f"There is no {kind} {name}; there are {', '.join(names)}.")
    return [name for name in names if name in asked] if asked else names


def _run_gates(bench: Bench, names: Sequence[str], *, live: bool) -> tuple[list[Finding], list[Ran]]:
    findings: list[Finding] = []
    ran = []
    for name in names:
        started = time.monotonic()
        found: list[Finding] = []
        gate: Gate | None = None
        try:
            gate = importlib.import_module(GATES[name]).gate
        except Exception as error:  # whatever a broken project raises is told, not thrown
            found.append(_unusable(bench, name, error))
        if gate is not None:
            for check in filter(None, [gate.static, gate.live if live else None]):
                found += _checked(bench, name, check)
        # Two looks may see the same.
        findings += dict.fromkeys(found)
        ran.append(
            Ran(
                name=name,
                contract=gate.contract if gate else "",
                rules={**(gate.rules if gate else {}), **UNUSABLE},
                seconds=time.monotonic() - started,
                found=len(set(found)),
            )
        )
    return findings, ran


def _checked(bench: Bench, name: str, check: Check) -> list[Finding]:
    found: list[Finding] = []
    try:
        for finding in check(bench):
            found.append(finding)
    except Exception as error:  # as above; what was found before stays
        found.append(_unusable(bench, name, error))
    return found


def _unusable(bench: Bench, gate: str, error: Exception) -> Finding:
    where, line = _place(bench, error)
    first = (str(error).strip() or type(error).__name__).partition("\n")[0].rstrip(".")
    if isinstance(error, ModuleNotFoundError) and not _is_ours(error.name or ""):
        fix = f"Install the development tools, of which {error.name} is one: `make test` does, or `pip install -e '.[dev]'`."
    else:
        fix = "Mend this first: the gate needs it to look any further. EMPORIUM_DEBUG=1 shows the traceback."
    if _debugging():
        traceback.print_exception(error)
    what = f"The gate could not look: {type(error).__name__}: {first}."
    return Finding(rule=f"{gate}/unusable", module=bench.module_of(where), where=where, line=line, what=what, fix=fix)


def _place(bench: Bench, error: Exception) -> tuple[str, int | None]:
    """The innermost line of the project's own code, the checks' own last."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(bench.root):
        return bench.shown(Path(error.filename)), error.lineno
    frames = [
        (bench.shown(Path(frame.filename)), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(bench.root) and ".venv" not in frame.filename
    ]
    outside = [frame for frame in frames if not frame[0].startswith(("platform/app/contracts/", "platform/app/modules.py"))]
    return (outside or frames or [("platform/app/contracts/run.py", None)])[-1]


def _is_ours(name: str) -> bool:
    top = name.partition(".")[0]
    return top in ("app", "kernel") or (ROOT / "modules" / top).is_dir()


def _debugging() -> bool:
    return os.environ.get("EMPORIUM_DEBUG", "").lower() in ("1", "on", "true", "yes")


def _of(modules: Sequence[str], findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if not modules or finding.module in modules]


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (finding.module, finding.rule, finding.where, finding.line or 0, finding.what))
