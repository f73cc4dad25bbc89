"""Promise: one kind of snapshot, how it is made from the code, and how a new one is compared with the kept one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.promises.breaking import Agreement, faults, read_agreements
from app.contracts.released import read_released

Document = dict[str, Any]
"""Plain JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two documents.

    `rule` is the rule's name without the gate's. `where` is stable: an operation with a place in it, a method, an event's
    field. A change that is not `breaking` harms nobody who kept to the old document.
    """

    rule: str
    where: str
    what: str
    breaking: bool


@dataclass(frozen=True, kw_only=True)
class Promise:
    kind: str
    """The gate's name, and the snapshot's: `contracts/<kind>.json`."""
    describe: Callable[[Bench, str], Document | None]
    """What the module's code promises now; None when there is nothing of this kind."""
    compare: Callable[[Document, Document], Iterable[Change]]
    """From the kept document to the new one."""
    try_kept: Callable[[Bench, str, Document], Iterable[Change]] | None = None
    """What of a kept document the code of now cannot cope with, tried for real."""

    def changes(self, bench: Bench, module: str, kept: Document, now: Document) -> list[Change]:
        """All differences, by writing and by trial."""
        tried = self.try_kept(bench, module, kept) if self.try_kept is not None else ()
        return [*self.compare(kept, now), *tried]

    def file(self, root: Path, module: str) -> Path:
        return root / "modules" / module / "contracts" / f"{self.kind}.json"

    def kept(self, root: Path, module: str) -> Document | None:
        """The snapshot. Errors: ValueError, when it is no JSON."""
        file = self.file(root, module)
        if not file.exists():
            return None
        document: Document = json.loads(file.read_text(encoding="utf-8"))
        return document

    def check(self, bench: Bench) -> Iterator[Finding]:
        """Whether the code still promises what the snapshots say."""
        for module in bench.facts:
            if bench.wants(module):
                yield from self._check(bench, module)

    def _check(self, bench: Bench, module: str) -> Iterator[Finding]:
        file = self.file(bench.root, module)
        where = bench.shown(file)
        try:
            kept = self.kept(bench.root, module)
        except ValueError as error:
            yield self._finding("snapshot", module, where, f"The snapshot is no JSON ({error}).", _restore(where))
            return
        yield from self._edited(bench, module, file)
        yield from faults(bench, module, self.kind)
        now = self.describe(bench, module)
        if kept == now:
            return
        if kept is None or now is None:
            what = "There is no snapshot yet." if kept is None else f"The module promises nothing of the kind {self.kind} now."
            yield self._finding("snapshot", module, where, what, _accept(module))
            return
        changes = self.changes(bench, module, kept, now)
        agreed = read_agreements(bench.root, module)
        for change in changes:
            if change.breaking:
                rule = f"{self.kind}/{change.rule}"
                yield Finding(
                    rule=rule, module=module, where=change.where, what=change.what, fix=_fix(rule, change, agreed, module)
                )
        safe = [change for change in changes if not change.breaking]
        if safe or not changes:
            first = f"{safe[0].where}: {safe[0].what}" if safe else "in words only."
            more = f" (and {len(safe) - 1} more)" if len(safe) > 1 else ""
            what = f"The snapshot is older than the code, harmlessly: {first}{more}"
            yield self._finding("snapshot", module, where, what, _accept(module))

    def _edited(self, bench: Bench, module: str, file: Path) -> Iterator[Finding]:
        recorded = read_released(bench.root).snapshots.get(module, {}).get(self.kind)
        if recorded is not None and recorded != checksum(file):
            where = bench.shown(file)
            what = "The snapshot is not the one that was released or accepted since: it was edited by hand or deleted."
            yield self._finding("edited-snapshot", module, where, what, _restore(where))

    def _finding(self, rule: str, module: str, where: str, what: str, fix: str) -> Finding:
        return Finding(rule=f"{self.kind}/{rule}", module=module, where=where, what=what, fix=fix)


SNAPSHOT_RULES = {
    "snapshot": "The module's snapshot says what its code promises.",
    "edited-snapshot": "Only `emporium contracts accept` writes a snapshot once it has been released.",
    "agreement": "Each entry of breaking.toml says what, why, who agreed, since when, and when the old form goes.",
}
"""Rules that every gate with snapshots has."""


def dump(document: Document) -> str:
    """As snapshots are written: the same document is always the same text."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def checksum(file: Path) -> str:
    """SHA-256 of a file's text, whatever its line ends; of a missing one: empty."""
    if not file.exists():
        return ""
    return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _accept(module: str) -> str:
    return f"Run `emporium contracts accept {module}` and commit what it writes."


def _restore(where: str) -> str:
    return f"Restore it (`git checkout -- {where}`), then let `emporium contracts accept` write it."


def _fix(rule: str, change: Change, agreed: Iterable[Agreement], module: str) -> str:
    said = [entry.what for entry in agreed if (entry.rule, entry.where) == (rule, change.where)]
    if change.what in said:
        return f"The change is agreed in breaking.toml: run `emporium contracts accept {module}`."
    if said:
        return (
            f"What is agreed there in breaking.toml is another change ({said[0]!r}): agree on this one, too;"
            f" `emporium contracts accept {module}` prints the entry."
        )
    return (
        "Keep the old form and add the new one beside it. If it has to go: agree with the consumers, write an entry for"
        f" {rule} at {change.where!r} into modules/{module}/contracts/breaking.toml, then run"
        f" `emporium contracts accept {module}`."
    )
