"""Breaking: a revision is broken off after its statements, and tried again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from sqlalchemy import Connection

from app.contracts.finding import Finding
from app.contracts.gates.migrations.history import finding
from app.contracts.gates.migrations.revisions import Revision
from app.contracts.gates.migrations.stage import BrokenOff, Stage, State, Statement, Verb, watching
from app.shape import Change, changes

_ALONE = (
    "Give it a revision of its own, with nothing in it but `with op.get_context().autocommit_block():`. What stands before it"
    " is committed by it, while the version still says that nothing was done."
)
_AGAIN = (
    "Let every statement of it be one that can be repeated: `op.drop_index(…, if_exists=True, postgresql_concurrently=True)` in"
    " front of each op.create_index, because a build that was broken off leaves an INVALID index, which if_not_exists would"
    " keep."
)
_WHOLE = (
    "Leave BEGIN, COMMIT and connections of its own out of the revision: Alembic's transaction holds its statements and the"
    " version together. What PostgreSQL refuses in a transaction goes into an autocommit_block in a revision of its own."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where: after the statement of this number, the first being 0; without one, after the version is written.

    `busy`: in the middle of it, because it waits for somebody who does not come to an end.
    """

    number: int | None = None
    busy: bool = False


class Breaking:
    """Tries one revision in one direction on a stage that stands where it begins, and leaves the stage there."""

    def __init__(self, stage: Stage, revision: Revision, verb: Verb, *, behind: Sequence[str], full: bool) -> None:
        self._stage, self._revision, self._verb, self._behind, self._full = stage, revision, verb, behind, full

    def findings(self) -> Iterator[Finding]:
        begin = self._stage.state()
        try:
            sent = self._break(Break())
        except Exception:  # it fails by itself, which whoever runs it to its end will tell
            self._stage.restore(begin, self._behind)
            return
        # The last one is Alembic's.
        statements = [statement for statement in sent if statement.line is not None]
        if any(statement.autocommit for statement in statements):
            yield from self._mixed(statements)
            yield from self._step(statements, begin)
        else:
            yield from self._transaction(statements, begin)

    def _break(self, where: Break) -> list[Statement]:
        """Run until it breaks there; answers what it sent. Raises what the revision raises by itself."""
        with ExitStack() as stack:

            def before(connection: Connection, _: Statement) -> None:
                if where.busy and len(sent) - 1 == where.number:
                    stack.enter_context(self._stage.busy(self._revision.branch))
                    connection.exec_driver_sql("SET lock_timeout = '20ms'")

            def after(_: Connection, statement: Statement) -> None:
                if statement.line is None or len(sent) - 1 == where.number:
                    raise BrokenOff

            with watching(self._revision, before=before, after=after) as sent:
                try:
                    self._stage.step(self._verb, self._revision)
                except BrokenOff:
                    pass
                except Exception:
                    if not where.busy:
                        raise
        return list(sent)

    # ---- in a transaction

    def _transaction(self, statements: Sequence[Statement], begin: State) -> Iterator[Finding]:
        yield from (found := self._left(statements, begin, Break()))
        for number in () if found else self._picked(len(statements)):
            self._break(Break(number=number))
            if found := self._left(statements, begin, Break(number=number)):
                yield from found
                break

    def _left(self, statements: Sequence[Statement], begin: State, where: Break) -> list[Finding]:
        """What a broken try has left behind; the stage is made anew then."""
        end = self._stage.state()
        if end == begin:
            return []
        left = [_left(change) for change in changes(begin.shape, end.shape)]
        left += [f"changed rows of {name}" for name in sorted(begin.rows) if end.rows.get(name) != begin.rows[name]]
        left += ["the version"] if end.versions != begin.versions else []
        what = f"An error in the middle of its {self._verb} leaves something behind: {'; '.join(left[:3]) or 'new rows'}."
        place = statements[-1 if where.number is None else where.number] if statements else None
        self._stage.rebuild(self._behind)
        return [finding("atomic", self._revision, what, _WHOLE, place.line if place else None)]

    def _picked(self, count: int) -> list[int]:
        """All, or the one in the middle; the last is tried with the version."""
        return list(range(count)) if self._full else sorted({count // 2} - {count - 1, count})

    # ---- outside of one

    def _mixed(self, statements: Sequence[Statement]) -> Iterator[Finding]:
        inside = next((statement for statement in statements if not statement.autocommit), None)
        if inside is not None:
            what = f"Its {self._verb} has an autocommit step and does other things as well, which stay when the step fails."
            yield finding("autocommit-step", self._revision, what, _ALONE, inside.line)

    def _step(self, statements: Sequence[Statement], begin: State) -> Iterator[Finding]:
        """The first break has happened. Each time: the version is as before, and another try ends like the first one."""
        wanted: State | None = None
        for where in (Break(), *self._breaks(statements)):
            if wanted is not None:
                self._break(where)
            place = statements[-1 if where.number is None else where.number]
            fault = self._tried_again(begin, wanted)
            if fault is not None:
                end = "is broken off" if where.busy else "is the last to succeed"
                what = f"When `{_short(place.sql)}` of its {self._verb} {end}, {fault}."
                yield finding("autocommit-step", self._revision, what, _AGAIN, place.line)
                self._stage.rebuild(self._behind)
                return
            wanted = wanted or self._stage.state()
            self._back()

    def _breaks(self, statements: Sequence[Statement]) -> list[Break]:
        builds = [number for number, statement in enumerate(statements) if statement.builds_beside_others]
        broken = [Break(number=number, busy=True) for number in (builds if self._full else builds[:1])]
        return broken + [Break(number=number) for number in self._picked(len(statements))]

    def _tried_again(self, begin: State, wanted: State | None) -> str | None:
        """Run it to its end; answers what is wrong."""
        broken = self._stage.state()
        if broken.versions != begin.versions:
            return "the version is written although it did not end"
        try:
            self._stage.step(self._verb, self._revision)
        except Exception as error:  # whatever it is, an operator would stand there with it
            return f"another try fails: {str(error).partition(chr(10))[0].rstrip('.')}"
        end = self._stage.state()
        invalid = sorted(thing.name for thing in end.shape if thing.definition.endswith("INVALID"))
        if invalid:
            return f"another try leaves the index {', '.join(invalid)} INVALID, which costs and serves nobody"
        if wanted is not None and (other := changes(wanted.shape, end.shape)):
            return f"another try ends otherwise: {_left(other[0])}"
        return None

    def _back(self) -> None:
        """Where the stage stood before."""
        try:
            self._stage.step("downgrade" if self._verb == "upgrade" else "upgrade", self._revision)
            self._stage.fill()
        except Exception:  # its turn to be judged comes
            self._stage.rebuild(self._behind)


def _left(change: Change) -> str:
    if change.before is None:
        return f"{change.thing} is there"
    return f"{change.thing} is gone" if change.after is None else f"{change.thing} is another"


def _short(sql: str) -> str:
    words = " ".join(sql.split())
    return words if len(words) <= 70 else f"{words[:69]}…"
