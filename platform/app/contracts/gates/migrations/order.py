"""Order: modules are migrated in any order and without each other, and the same schemas come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from alembic import command
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine

from app.contracts.finding import Finding
from app.contracts.gates.migrations.history import finding
from app.contracts.gates.migrations.rehearsal import Line
from app.contracts.gates.migrations.revisions import KERNEL, Revision
from app.contracts.laboratory import Laboratory
from app.drift import roles_of
from app.migrations import Target, config
from app.shape import Change, Shape, changes, shape_of

_FIX = (
    "Let it do the same wherever it runs: no look at another module's tables, not even whether they are there; what depends"
    " on a neighbour is asked by its interface when the code runs."
)


class Orders:
    """Databases in which branches were migrated in some order, each made from the one before."""

    def __init__(self, laboratory: Laboratory, provisioned: Target, lines: Sequence[Line]) -> None:
        self._laboratory, self._provisioned = laboratory, provisioned
        self._lines = {line.branch: line for line in lines}
        self._stack = ExitStack()
        self._made: dict[tuple[str, ...], Target] = {(): provisioned}

    def __enter__(self) -> Orders:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def findings(self) -> Iterator[Finding]:
        """Each branch before and after the kernel; on it, each pair of modules in both orders."""
        modules = [name for name in self._lines if name != KERNEL]
        alone = {name: self._shape((KERNEL,) if name == KERNEL else (KERNEL, name), name) for name in self._lines}
        orders: list[tuple[str, ...]] = [(name, KERNEL) for name in modules]
        orders += [(KERNEL, first, second) for first in modules for second in modules if first != second]
        faulty: set[str] = set()
        for order in orders:
            for branch in order:
                if branch in faulty or not self._lines[branch].wanted or order[:2] == (KERNEL, branch):
                    continue
                if fault := self._compare(order, branch, alone[branch]):
                    faulty.add(branch)
                    yield fault

    def _compare(self, order: tuple[str, ...], branch: str, alone: Shape) -> Finding | None:
        try:
            found = changes(alone, self._shape(order, branch))
        except CommandError as error:
            what = f"It cannot go up in the order {', '.join(order)}: {str(error).partition(chr(10))[0].rstrip('.')}."
            return _fault(what, self._lines[branch].revisions[-1])
        if not found:
            return None
        culprit = self._culprit(order, branch)
        company = " and ".join(name for name in order if name != branch)
        when = f"after {company}" if order[-1] == branch else f"with {company}"
        return _fault(f"In the order {', '.join(order)} it ends otherwise {when}: {_told(found[0])}.", culprit)

    def _culprit(self, order: tuple[str, ...], branch: str) -> Revision:
        """The first revision after which both differ."""
        before = order[: order.index(branch)]
        usual = () if branch == KERNEL else (KERNEL,)
        with self._laboratory.clone(self._target(before)) as other, self._laboratory.clone(self._target(usual)) as same:
            for revision in self._lines[branch].revisions:
                for target in (other, same):
                    command.upgrade(config(target), str(revision.id))
                if changes(_shape(same, branch), _shape(other, branch)):
                    return revision
        return self._lines[branch].revisions[-1]

    def _shape(self, order: tuple[str, ...], branch: str) -> Shape:
        return _shape(self._target(order), branch)

    def _target(self, order: tuple[str, ...]) -> Target:
        if order not in self._made:
            target = self._stack.enter_context(self._laboratory.clone(self._target(order[:-1])))
            command.upgrade(config(target), f"{order[-1]}@head")
            self._made[order] = target
        return self._made[order]


def _shape(target: Target, branch: str) -> Shape:
    with create_engine(target.url, poolclass=NullPool).connect() as connection:
        return shape_of(connection, [branch], roles_of(target))


def _fault(what: str, revision: Revision) -> Finding:
    return finding("order", revision, what, _FIX, revision.line("upgrade"))


def _told(change: Change) -> str:
    if change.before is None:
        return f"there is a {change.thing}"
    return f"there is no {change.thing}" if change.after is None else f"the {change.thing} is {change.after}"
