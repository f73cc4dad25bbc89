"""Releasing: docs/RELEASED.toml records what may not change unnoticed any more; only when every contract holds."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from app.contracts import baseline
from app.contracts.accepting import Refused, promises
from app.contracts.facts import read_facts
from app.contracts.promises.promise import checksum
from app.contracts.released import FILE, Released, read_released
from app.contracts.run import Request, run
from app.contracts.writing import write_all


def release(root: Path, *, live: bool = True, today: date | None = None) -> Released:
    """Check everything and write the record. Errors: Refused."""
    today = today or datetime.now(UTC).date()
    try:
        before = read_released(root)
        revisions = revision_checksums(root)
    except ValueError as error:
        raise Refused(str(error)) from error
    changed = list(_changed(before, revisions))
    if changed:
        raise Refused(*changed)
    _require_contracts(root, live=live, today=today)
    made = Released(at=today, revisions=revisions, snapshots=_snapshots(root), debts=baseline.keys(root))
    try:
        write_all({root / FILE: made.text()})
    except OSError as error:
        raise Refused(f"{FILE} cannot be written ({error.strerror}); all is as before.") from error
    return made


def revision_checksums(root: Path) -> dict[str, dict[str, str]]:
    """Branch -> revision -> checksum of its file; of the kernel and all modules. Errors: ValueError (a file without one)."""
    folders = {"kernel": root / "platform" / "kernel" / "migrations"}
    folders |= {name: root / "modules" / name / "migrations" for name in read_facts(root)}
    return {
        branch: {_revision(file, root): checksum(file) for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"}
        for branch, folder in folders.items()
    }


def _revision(file: Path, root: Path) -> str:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(f"{file.relative_to(root).as_posix()} is no Python ({error.msg}).") from error
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        value = getattr(node, "value", None)
        named = any(isinstance(target, ast.Name) and target.id == "revision" for target in targets)
        if named and isinstance(value, ast.Constant):
            return str(value.value)
    raise ValueError(f"{file.relative_to(root).as_posix()} has no `revision`.")


def _changed(before: Released, now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A second release does not launder what was changed after the first."""
    for branch, revisions in sorted(before.revisions.items()):
        for revision, recorded in sorted(revisions.items()):
            found = now.get(branch, {}).get(revision)
            if found is None:
                yield f"The revision {revision} of {branch} was released on {before.at} and is gone: restore it."
            elif found != recorded:
                yield (
                    f"The revision {revision} of {branch} was released on {before.at} and has changed since: restore it, and"
                    " write a new one."
                )


def _require_contracts(root: Path, *, live: bool, today: date) -> None:
    try:
        outcome = run(Request(root=root, live=live), today=today)
    except ValueError as error:
        raise Refused(str(error)) from error
    if outcome.findings:
        counts = Counter(finding.gate for finding in outcome.findings)
        told = ", ".join(f"{gate} {number}" for gate, number in sorted(counts.items()))
        raise Refused(f"Not every contract holds ({told}): `emporium contracts check` says where and how to mend it.")


def _snapshots(root: Path) -> dict[str, dict[str, str]]:
    kinds = list(promises())
    found = {
        module: {promise.kind: checksum(promise.file(root, module)) for promise in kinds if promise.file(root, module).exists()}
        for module in read_facts(root)
    }
    return {module: sums for module, sums in found.items() if sums}
