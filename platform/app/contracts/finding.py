"""Findings: what a gate answers. Each says which contract, where, what crossed, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violation.

    `rule` is the gate's name, a slash, and the rule's: `imports/door`. `module` is who has to mend it: a module, `kernel` or
    `app`. `where` is a file (relative to the project, with slashes), or a route (`GET /api/v1/orders`), table
    (`catalog.stock`), event, method or provider. `what` and `fix` are one sentence each.

    `what` names no line and no count that changes by itself: with `rule` and `where` it is the finding's key, by which the
    baseline knows it again.
    """

    rule: str
    module: str
    where: str
    what: str
    fix: str
    line: int | None = None

    @property
    def gate(self) -> str:
        return self.rule.partition("/")[0]

    @property
    def key(self) -> str:
        return f"{self.rule} | {self.where} | {self.what}"

    @property
    def place(self) -> str:
        return self.where if self.line is None else f"{self.where}:{self.line}"
