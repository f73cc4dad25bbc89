"""The rehearsal: every revision goes up, down and up again on tables with rows, as on the day when it is deployed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.exc import DBAPIError

from app.contracts.finding import Finding
from app.contracts.gates.migrations.breaking import Breaking
from app.contracts.gates.migrations.history import finding
from app.contracts.gates.migrations.locks import blocking
from app.contracts.gates.migrations.neighbours import FIX as OWN_SCHEMA
from app.contracts.gates.migrations.revisions import Revision
from app.contracts.gates.migrations.script import line_of_error
from app.contracts.gates.migrations.stage import Stage, State
from app.shape import Change, Shape, changes
from kernel.database.errors import sqlstate

_DENIED = "42501"
_UNDO = (
    'Take back all that upgrade does and nothing else. What must stay is said in downgrade\'s docstring: """Leaves …, because'
    ' …"""; rows stay in any case.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A branch: its revisions in order, and whether they are asked for."""

    branch: str
    revisions: Sequence[Revision]
    wanted: bool


class Rehearsal:
    def __init__(self, stage: Stage, *, full: bool) -> None:
        self._stage, self._full = stage, full
        self._done: dict[str, str] = {}
        """Branch -> what brings a new database as far as this one."""
        self.stuck: set[str] = set()
        """Branches that have a revision which cannot go up."""

    def play(self, lines: Sequence[Line]) -> Iterator[Finding]:
        """Branch after branch; all that came before is there and has rows."""
        last = max((number for number, line in enumerate(lines) if line.wanted), default=-1)
        for line in lines[: last + 1]:
            if not line.wanted:
                self._done[line.branch] = f"{line.branch}@head"
                self._stage.run("upgrade", self._done[line.branch])
                continue
            for revision in line.revisions:
                yield from self._rehearse(revision)
                if line.branch in self.stuck:
                    break
                self._done[line.branch] = str(revision.id)

    def _rehearse(self, revision: Revision) -> Iterator[Finding]:
        stage = self._stage
        stage.fill()
        yield from Breaking(stage, revision, "upgrade", behind=list(self._done.values()), full=self._full).findings()
        before, rebuilt = stage.state(), stage.rebuilt
        try:
            with blocking(revision, [name for name in before.rows if name.startswith(f"{revision.branch}.")]) as held:
                stage.step("upgrade", revision)
        except Exception as error:  # whatever stops it would stop a deployment
            yield _failed(revision, error)
            self.stuck.add(revision.branch)
            stage.restore(before, list(self._done.values()))
            return
        for lock in held:
            what = f"It holds {lock.modes} on {lock.table} while it reads all of it, and whoever writes there waits."
            yield finding("blocks", revision, what, lock.fix, lock.statement.line)
        upgraded = stage.state().shape
        reached = list({**self._done, revision.branch: str(revision.id)}.values())
        stage.fill()
        yield from Breaking(stage, revision, "downgrade", behind=reached, full=self._full).findings()
        kept = before if stage.rebuilt == rebuilt else replace(before, rows={})
        yield from self._back_and_forth(revision, kept, upgraded, reached)

    def _back_and_forth(self, revision: Revision, before: State, upgraded: Shape, reached: Sequence[str]) -> Iterator[Finding]:
        stage, line = self._stage, revision.line("downgrade")
        filled = stage.state()
        try:
            stage.step("downgrade", revision)
        except Exception as error:  # as above
            where = line_of_error(error, revision.file.name) or line
            yield finding(
                "not-reversible", revision, f"Its downgrade fails on tables with rows: {_first(error)}.", _UNDO, where
            )
            stage.restore(filled, reached)
            return
        after = stage.state()
        for name in sorted(before.rows):
            if after.rows.get(name) != before.rows[name]:
                what = f"The rows of {name} are not what they were before it went up and down."
                fix = "Keep every row and value that was there: what upgrade drops or changes, downgrade cannot make up."
                yield finding("not-reversible", revision, what, fix, line)
        for change in [] if revision.reason else changes(before.shape, after.shape):
            yield finding("not-reversible", revision, f"Its downgrade {_told(change)}.", _UNDO, line)
        yield from self._again(revision, upgraded, reached)

    def _again(self, revision: Revision, upgraded: Shape, reached: Sequence[str]) -> Iterator[Finding]:
        stage, line = self._stage, revision.line("upgrade")
        fix = "Let downgrade leave nothing that upgrade trips over, and upgrade not depend on what it finds."
        try:
            stage.step("upgrade", revision)
        except Exception as error:  # as above
            where = line_of_error(error, revision.file.name) or line
            what = f"After its downgrade it cannot go up again: {_first(error)}."
            yield finding("second-upgrade", revision, what, fix, where)
            stage.rebuild(reached)
            return
        for change in changes(upgraded, stage.state().shape):
            what = f"The second upgrade makes something else than the first: {_second(change)}."
            yield finding("second-upgrade", revision, what, fix, line)


def _failed(revision: Revision, error: Exception) -> Finding:
    cause = error.__cause__
    line = line_of_error(error, revision.file.name) or revision.line("upgrade")
    if isinstance(cause, DBAPIError) and sqlstate(cause) == _DENIED:
        what = f"PostgreSQL refuses it to the owner of {revision.branch}: {_first(error)}."
        return finding("foreign-schema", revision, what, OWN_SCHEMA, line)
    what = f"It cannot go up on tables with rows: {_first(error)}."
    fix = "Give new columns a constant default or let them be NULL until they are filled; make old rows fit a constraint first."
    return finding("fails-on-rows", revision, what, fix, line)


def _first(error: Exception) -> str:
    """The server's own words, without who ran what."""
    cause = error.__cause__
    text = str(cause.orig) if isinstance(cause, DBAPIError) else str(error) or type(error).__name__
    return text.partition("\n")[0].rstrip(".")


def _told(change: Change) -> str:
    if change.before is None:
        return f"leaves the {change.thing}"
    if change.after is None:
        return f"does not give back the {change.thing}"
    return f"leaves the {change.thing} changed: {change.before} has become {change.after}"


def _second(change: Change) -> str:
    if change.before is None:
        return f"the {change.thing} is new"
    return f"the {change.thing} is missing" if change.after is None else f"the {change.thing} is {change.after}"
