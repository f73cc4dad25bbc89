"""The gate `data`: each module's tables are its own, in the code and in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.data.statements import check_statements
from app.contracts.gates.data.tables import check_metadata, check_models

RULES: Final = {
    "stranger-table": "Every table belongs to exactly one module, and is in the schema of its name.",
    "foreign-key": "No foreign key leads from one module's tables to another's.",
    "relationship": "No mapped relationship leads from one module's classes to another's tables.",
    "view": "No view, function or other DDL of a module names what belongs to another one.",
    "foreign-sql": "No SQL of a module names what belongs to another one, however it is put together.",
    "role-switch": "Only the kernel switches roles and opens connections; a module sends one statement at a time.",
    "sql-outside-crud": "Every SQL statement of a module stands in its crud.",
    "statement": "Every statement that a module keeps fits the newest schema, and the module's role may run it.",
    "wall": "PostgreSQL refuses each module every statement on another module's schema, and DDL on its own.",
    "guard": "The kernel sends no statement of a module that could leave its role or its transaction.",
    "owner": "Everything in a module's schema belongs to the owner role of that module.",
    "grant": "A module's role has SELECT, INSERT, UPDATE and DELETE on its own tables, and nobody else has any right there.",
    "default-privilege": "What a module's migrations make comes with exactly these rights by itself.",
    "membership": "The application may become the modules' roles and inherits none; the migrator alone has the owners.",
}


def _static(bench: Bench) -> Iterator[Finding]:
    told: list[Finding] = []
    for finding in (*check_statements(bench), *check_models(bench)):
        told.append(finding)
        yield finding
    known = {finding.key for finding in told}
    broken = {finding.module for finding in told if finding.rule == "data/relationship"}
    yield from (finding for finding in check_metadata(bench, broken) if finding.key not in known)


def _live(bench: Bench) -> Iterator[Finding]:
    from app.contracts.gates.data.live import check_database  # imports the modules, which the rest can do without

    yield from check_database(bench)


gate: Final = Gate(
    name="data",
    contract="Each module has its tables to itself: the code keeps to them, and PostgreSQL itself refuses the others'.",
    rules=RULES,
    static=_static,
    live=_live,
)
