"""Databases: everything that the gate tries on real ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alembic import command

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.migrations.history import Branches
from app.contracts.gates.migrations.order import Orders
from app.contracts.gates.migrations.rehearsal import Line, Rehearsal
from app.contracts.gates.migrations.revisions import in_order
from app.contracts.gates.migrations.stage import Stage
from app.drift import drift
from app.migrations import Target, branches, config

_REVISION = (
    'Write the missing revision (`emporium db revision {schema} -m "…"`; triggers and functions by hand, with op.execute), or'
    " declare in the models what the revisions make."
)
_DECLARED = (
    "Say it on both sides: tables, columns, constraints and indexes in the module's models; functions and triggers there by"
    " `kernel.database.types.declare`; and in a new revision what the revisions do not make."
)


def check_databases(bench: Bench, revisions: Branches) -> Iterator[Finding]:
    lines = [
        Line(branch=branch.name, revisions=in_order(revisions[branch.name]), wanted=bench.wants(branch.name))
        for branch in branches()
        if branch.name in revisions
    ]
    with bench.laboratory.empty() as provisioned:
        # Stamping an empty database makes its roles, schemas and default privileges, and no table.
        command.stamp(config(provisioned), "base")
        with Stage(bench.laboratory, provisioned, [line.branch for line in lines]) as stage:
            rehearsal = Rehearsal(stage, full=bench.full)
            yield from rehearsal.play(lines)
        try:
            with Orders(bench.laboratory, provisioned, lines) as orders:
                yield from orders.findings()
            yield from _drift(bench, provisioned, lines)
        except Exception:
            # What cannot go up on rows may be able to without them; when not, there is a finding that says so.
            if not rehearsal.stuck:
                raise


def _drift(bench: Bench, provisioned: Target, lines: Sequence[Line]) -> Iterator[Finding]:
    with bench.laboratory.clone(provisioned) as empty:
        for found in drift(bench.laboratory.migrated, empty, [line.branch for line in lines if line.wanted]):
            rule, fix = ("drift", _REVISION) if found.seen == "alembic" else ("catalogue-drift", _DECLARED)
            yield Finding(
                rule=f"migrations/{rule}",
                module=found.schema,
                where=found.place,
                what=found.what,
                fix=fix.format(schema=found.schema),
            )
