"""History: each module's revisions are one line of its own, each can be taken back, and none that was released changes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.migrations.revisions import Revision, in_order, strays
from app.contracts.promises.promise import checksum
from app.contracts.released import read_released

Branches = Mapping[str, Sequence[Revision]]


def check_history(bench: Bench, branches: Branches) -> Iterator[Finding]:
    yield from check_branches(bench, branches)
    for revisions in branches.values():
        for revision in revisions:
            yield from _dependencies(revision)
            yield from _downgrade(revision)
    yield from _released(bench, branches)


def finding(rule: str, revision: Revision, what: str, fix: str, line: int | None = None) -> Finding:
    """Of one revision, which its branch's module has to mend."""
    return Finding(rule=f"migrations/{rule}", module=revision.branch, where=revision.where, line=line, what=what, fix=fix)


# ---- one line per module


def check_branches(bench: Bench, branches: Branches) -> Iterator[Finding]:
    """Empty when Alembic can walk every branch from its one base to its one head."""
    homes: dict[str, list[Revision]] = defaultdict(list)
    for revisions in branches.values():
        for revision in revisions:
            if revision.id is not None:
                homes[revision.id].append(revision)
    for branch, revisions in branches.items():
        if not revisions:
            folder = "platform/kernel" if branch == "kernel" else f"modules/{branch}"
            what = f"The branch {branch} has no revision."
            fix = f'Write the first one: `emporium db revision {branch} -m "…"`.'
            yield Finding(rule="migrations/branch", module=branch, where=f"{folder}/migrations", what=what, fix=fix)
        for revision in revisions:
            yield from _name(revision, homes)
            yield from _label(revision)
            yield from _predecessor(revision, homes)
        yield from _forks(revisions)
    for where in strays(bench):
        module = bench.module_of(where)
        what = "It looks like a revision and lies in no branch's own folder, so that Alembic does not find it."
        fix = "Move it to modules/<module>/migrations/ of the module whose tables it changes, or delete it."
        yield Finding(rule="migrations/branch", module=module, where=where, what=what, fix=fix)


def _name(revision: Revision, homes: Mapping[str, Sequence[Revision]]) -> Iterator[Finding]:
    if revision.id is None:
        what = "It does not say in plain text which revision it is."
        yield finding("branch", revision, what, 'Give it `revision: str = "…"`, as `emporium db revision` writes it.')
    elif (first := homes[revision.id][0]) is not revision:
        what = f"It bears the same name as {first.where}: {revision.id}."
        line = revision.line("revision")
        yield finding("branch", revision, what, "Give it a name of its own; `emporium db revision` makes one up.", line)


def _label(revision: Revision) -> Iterator[Finding]:
    line = revision.line("branch_labels")
    if revision.down and revision.labels:
        what = f"It has the label {', '.join(revision.labels)}, which the branch's first revision gives to all."
        yield finding("branch", revision, what, "Set branch_labels to None.", line)
    elif not revision.down and revision.labels != (revision.branch,):
        labels = ", ".join(revision.labels) or "no label"
        what = f"The first revision of the branch {revision.branch} has {labels} instead of the module's name."
        yield finding("branch", revision, what, f'Set branch_labels to ("{revision.branch}",).', line)


def _predecessor(revision: Revision, homes: Mapping[str, Sequence[Revision]]) -> Iterator[Finding]:
    line = revision.line("down_revision")
    if len(revision.down) > 1:
        what = f"It merges {', '.join(revision.down)}: a branch has one line, so there is nothing to merge."
        yield finding("branch", revision, what, "Delete it, and put the revisions it merges one behind the other.", line)
        return
    for down in revision.down:
        before = homes.get(down)
        if before is None:
            what = f"It comes after {down}, which no file has."
            fix = f"Set down_revision to the newest revision of {revision.branch} (`emporium db history`)."
            yield finding("branch", revision, what, fix, line)
        elif all(other.branch != revision.branch for other in before):
            what = f"It comes after {down}, which is a revision of {before[0].branch}: a branch never leaves its module."
            fix = f"Set down_revision to the newest revision of {revision.branch}; modules do not wait for each other's tables."
            yield finding("branch", revision, what, fix, line)


def _forks(revisions: Sequence[Revision]) -> Iterator[Finding]:
    after: dict[tuple[str, ...], Revision] = {}
    newest = in_order(revisions)[-1:]
    for revision in revisions:
        if len(revision.down) > 1:
            continue
        first = after.setdefault(revision.down, revision)
        if first is revision:
            continue
        line = revision.line("down_revision")
        fix = f'Set down_revision to "{(newest or [first])[0].id}", the newest revision of {revision.branch}.'
        if revision.down:
            what = f"It comes after {revision.down[0]}, as {first.file.name} does: the branch {revision.branch} forks here."
        else:
            what = f"It begins the branch {revision.branch} a second time; {first.file.name} begins it already."
        yield finding("branch", revision, what, fix, line)


def _dependencies(revision: Revision) -> Iterator[Finding]:
    if revision.depends_on:
        what = f"It depends on {', '.join(revision.depends_on)}: modules would not be deployed without each other any more."
        fix = (
            "Set depends_on to None. A branch stands on nothing but the kernel, which is always migrated first; what it needs"
            " of a neighbour it learns by that neighbour's interface or events."
        )
        yield finding("depends-on", revision, what, fix, revision.line("depends_on"))


# ---- back


def _downgrade(revision: Revision) -> Iterator[Finding]:
    upgrade, downgrade = revision.function("upgrade"), revision.function("downgrade")
    fix = (
        'Take back what upgrade does; or, when that must not be, say so in its docstring: """Leaves …, because …""", and keep'
        " every row."
    )
    if downgrade is None:
        yield finding("no-downgrade", revision, "It has no downgrade.", fix)
    elif refuses(downgrade):
        what = "Its downgrade refuses to run, so that a deployment of it cannot be taken back."
        yield finding("no-downgrade", revision, what, fix, downgrade.lineno)
    elif _is_empty(downgrade) and upgrade is not None and not _is_empty(upgrade) and not revision.reason:
        what = "Its downgrade does nothing, and no reason is written there."
        yield finding("no-downgrade", revision, what, fix, downgrade.lineno)


def _is_empty(function: ast.FunctionDef) -> bool:
    return all(_does_nothing(statement) for statement in function.body)


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def refuses(function: ast.FunctionDef) -> bool:
    """Whether it only raises."""
    doing = [statement for statement in function.body if not _does_nothing(statement)]
    return bool(doing) and isinstance(doing[0], ast.Raise)


# ---- what was released


def _released(bench: Bench, branches: Branches) -> Iterator[Finding]:
    """A database may be at any released revision; it would not do again what has changed since."""
    for branch, released in sorted(read_released(bench.root).revisions.items()):
        here = {revision.id: revision for revision in branches.get(branch, ())}
        for name, recorded in sorted(released.items()):
            revision = here.get(name)
            if revision is None:
                yield _disappeared(branch, name)
            elif checksum(revision.file) != recorded:
                yield _changed(revision, released)


def _disappeared(branch: str, name: str) -> Finding:
    folder = "platform/kernel" if branch == "kernel" else f"modules/{branch}"
    what = f"The released revision {name} of {branch} is gone: databases that are at it could go nowhere."
    fix = "Restore its file from the released commit; what it made is undone by a new revision."
    return Finding(rule="migrations/released-revision", module=branch, where=f"{folder}/migrations", what=what, fix=fix)


def _changed(revision: Revision, released: Mapping[str, str]) -> Finding:
    newcomers = [down for down in revision.down if down not in released]
    if newcomers:
        what = f"The released revision {revision.id} has got a new predecessor, {newcomers[0]}, which its databases never ran."
        restore = f"Restore this file (`git checkout <release> -- {revision.where}`)"
        fix = f"{restore} and put {newcomers[0]} after the newest revision."
        return finding("released-revision", revision, what, fix, revision.line("down_revision"))
    what = f"The released revision {revision.id} has changed: databases that ran it keep what it said before."
    fix = f"Restore it (`git checkout <release> -- {revision.where}`) and write the change as a new revision."
    return finding("released-revision", revision, what, fix)
