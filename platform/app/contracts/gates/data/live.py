"""What only a migrated database can say of the gate `data`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, NullPool, create_engine, text

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.data.explained import check_kept_statements
from app.contracts.gates.data.guard import check_guard
from app.contracts.gates.data.rights import check_rights
from app.contracts.gates.data.wall import Speakers, check_wall, table_of
from app.contracts.laboratory import Laboratory
from app.migrations import Branch, Target, branches
from kernel.database.engines import Engines
from kernel.database.roles import detect

_ACROSS: Final = text(
    """
    SELECT DISTINCT n.nspname AS schema, c.relname AS name, d.classid::regclass::text AS kind, m.nspname AS other,
      f.relname AS named
    FROM pg_depend d
      LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
      LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
      LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
      JOIN pg_class c ON c.oid = COALESCE(k.conrelid, r.ev_class, t.tgrelid,
        CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END)
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_class f ON d.refclassid = 'pg_class'::regclass AND f.oid = d.refobjid
      LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
      JOIN pg_namespace m ON m.oid = COALESCE(f.relnamespace, p.pronamespace)
    WHERE n.oid <> m.oid AND COALESCE(f.relkind, 'r') <> 'i' AND n.nspname = ANY(:schemas) AND m.nspname = ANY(:schemas)
    ORDER BY 1, 2, 4, 5
    """
)
_BODIES: Final = text(
    """
    SELECT n.nspname AS schema, p.proname AS name, p.prosrc AS body FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY(:schemas) ORDER BY 1, 2
    """
)


def check_database(bench: Bench) -> Iterator[Finding]:
    laboratory, known = bench.laboratory, branches()
    migrated = laboratory.migrated
    with laboratory.clone() as clone, ExitStack() as stack:
        url = laboratory.application_url(clone)
        application = create_engine(url, poolclass=NullPool)
        migrator = create_engine(clone.url, poolclass=NullPool)
        connection = stack.enter_context(migrator.connect())
        _require_wall(connection, clone, known)
        hardened = _is_superuser(laboratory, clone)
        plan = replace(migrated.plan([branch.name for branch in known], roles=True), names=clone.names)
        yield from check_rights(connection, plan, hardened=hardened)
        yield from _across(connection, known)
        connection.rollback()
        yield from check_kept_statements(bench, stack.enter_context(application.connect()), clone.names)
        engines = Engines(url, threads=1, roles=clone.names)
        stack.callback(engines.close)
        yield from check_wall(Speakers(engines, application, migrator, clone.names), known, hardened=hardened)
        own, neighbour = known[-1], known[0]
        yield from check_guard(
            engines.database(own.name),
            table=table_of(own),
            neighbour=neighbour.name,
            names=clone.names,
            hardened=hardened,
        )


def _require_wall(connection: Connection, clone: Target, known: tuple[Branch, ...]) -> None:
    wall = detect(connection, clone.names, [branch.name for branch in known], login=clone.application)
    if not wall.on:
        raise RuntimeError(
            f"There is no wall between the modules to be tried on this server ({wall.reason}): give the migrator's login"
            " CREATEROLE, or unset DATABASE_URL to use the embedded server"
        )


def _is_superuser(laboratory: Laboratory, clone: Target) -> bool:
    engine = laboratory.superuser(clone)
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql("SELECT rolsuper FROM pg_roles WHERE rolname = session_user").scalar_one())


def _across(connection: Connection, known: tuple[Branch, ...]) -> Iterator[Finding]:
    """What depends on another schema, however it came there."""
    schemas = [branch.name for branch in known]
    for row in connection.execute(_ACROSS, {"schemas": schemas}):
        key = row.kind == "pg_constraint"
        kind = "foreign key" if key else "view, trigger or rule"
        yield Finding(
            rule="data/foreign-key" if key else "data/view",
            module=row.schema,
            where=f"{row.schema}.{row.name}",
            what=f"In the database, a {kind} of {row.schema}.{row.name} leads to {row.other}.{row.named or '…'}.",
            fix=f"Write a revision of {row.schema} that drops it, or take it out of the one that makes it.",
        )
    for row in connection.execute(_BODIES, {"schemas": schemas}):
        for other in (schema for schema in schemas if schema != row.schema):
            if re.search(rf'(?<![\w."]){re.escape(other)}\s*\.\s*\w', row.body):
                yield Finding(
                    rule="data/view",
                    module=row.schema,
                    where=f"{row.schema}.{row.name}",
                    what=f"The function {row.schema}.{row.name} names what belongs to {other}.",
                    fix=f"Let it work on tables of {row.schema} only; what happens in {other} comes as an event.",
                )
