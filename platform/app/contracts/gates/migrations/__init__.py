"""The gate `migrations`: one line of revisions per module, in its own schema, safe to deploy, to take back and to try again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.migrations.history import Branches, check_branches, check_history, finding, refuses
from app.contracts.gates.migrations.neighbours import check_schemas
from app.contracts.gates.migrations.revisions import Revision, read_revisions
from app.contracts.gates.migrations.script import Unwritable, Written, write
from app.contracts.gates.migrations.squawk import check_scripts
from app.contracts.released import read_released

_STATIC: Final = {
    "branch": "Each module's revisions are one line in its own folder, labelled with its name: one base, one head, no fork.",
    "depends-on": "No revision waits for one of another module.",
    "no-downgrade": "Each revision can be taken back, or says in its docstring what it leaves and why.",
    "foreign-schema": "A revision touches its own module's schema only; it runs as that schema's owner.",
    "script": "Each revision can be written as an SQL script (`--sql`), for administrators and for squawk.",
    "squawk": "What is not released yet passes squawk: it can be deployed while the last release serves.",
    "released-revision": "A released revision never changes, disappears or gets a predecessor.",
}
_LIVE: Final = {
    "fails-on-rows": "Each revision goes up on tables that have rows.",
    "blocks": "No revision holds a lock that writers wait for while it reads a whole table.",
    "not-reversible": "Up and down again leaves every row and everything else that was there as it was.",
    "second-upgrade": "After its downgrade a revision goes up again, and makes the same.",
    "atomic": (
        "An error after any statement leaves schema, rows and version as before, and the next try succeeds (tried after the"
        " middle and the last one, with --full after each)."
    ),
    "autocommit-step": "What runs outside of a transaction has a revision of its own, and another try finishes it.",
    "order": "In whichever order the modules are migrated, the same schema comes out.",
    "drift": "Alembic finds no difference between the models and what the revisions make.",
    "catalogue-drift": "PostgreSQL's catalogue says the same of what the models declare and of what the revisions make.",
}


def static(bench: Bench) -> Iterator[Finding]:
    branches = read_revisions(bench)
    yield from check_history(bench, branches)
    yield from _check_scripts(bench, branches)


def _check_scripts(bench: Bench, branches: Branches) -> Iterator[Finding]:
    released = read_released(bench.root).revisions
    unreleased: list[tuple[Revision, list[Written]]] = []
    for revision in (revision for revisions in branches.values() for revision in revisions if bench.wants(revision.branch)):
        scripts: dict[str, list[Written]] = {"upgrade": [], "downgrade": []}
        for function in scripts:
            body = revision.function(function)
            if body is not None and not refuses(body):
                try:
                    scripts[function] = write(revision, function)
                except Unwritable as error:
                    yield _unwritable(revision, function, error)
        yield from check_schemas(revision, [*scripts["upgrade"], *scripts["downgrade"]], branches)
        if revision.id not in released.get(revision.branch, {}):
            unreleased.append((revision, scripts["upgrade"]))
    yield from check_scripts(unreleased)


def _unwritable(revision: Revision, function: str, error: Unwritable) -> Finding:
    what = f"Its {function} cannot be written as a script ({error})."
    fix = (
        "Say it in SQL (INSERT … SELECT, UPDATE … FROM, a DO block) instead of reading rows into Python: where only an"
        " administrator may migrate, the script is all there is."
    )
    return finding("script", revision, what, fix, error.line)


def live(bench: Bench) -> Iterator[Finding]:
    from app.contracts.gates.migrations.databases import check_databases  # imports the modules, which may be impossible

    branches = read_revisions(bench)
    # With a branch that forks or crosses, Alembic itself goes nowhere; the static half says so.
    if not list(check_branches(bench, branches)):
        yield from check_databases(bench, branches)


gate: Final = Gate(
    name="migrations",
    contract="Every module migrates alone, safely while the last release serves, and back.",
    rules={**_STATIC, **_LIVE},
    static=static,
    live=live,
)
