"""Places: where in a document a change is, and which way the values flow there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Flow(Enum):
    REQUEST = "requests"
    ANSWER = "answers"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document: what it stands in, and the way from there to a member."""

    base: str
    path: str = ""
    joint: str = " "
    tail: str = ""
    seen: str = ""
    """Of a component: a place that uses it."""

    def member(self, name: str) -> Place:
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def item(self, number: int | None = None) -> Place:
        return replace(self, path=f"{self.path}[{'' if number is None else number}]")

    def component(self, name: str, flow: Flow) -> Place:
        return Place(base=name, joint=".", tail=f" in {flow.value}", seen=self.seen or str(self))

    def __str__(self) -> str:
        return f"{self.base}{self.joint if self.path else ''}{self.path}{self.tail}"
