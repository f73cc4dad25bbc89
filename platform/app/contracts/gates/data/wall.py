"""The wall: what each module's role tries on every other schema, PostgreSQL refuses, with the guard and without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.contracts.finding import Finding
from app.migrations import Branch
from kernel.database.engines import Engines
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, StatementRefused, sqlstate
from kernel.database.provisioning import identifier
from kernel.database.roles import RoleNames

READ_AND_WRITE: Final = {
    "SELECT": "SELECT * FROM {theirs}",
    "JOIN": "SELECT 1 FROM {ours} AS a JOIN {theirs} AS b ON true",
    "INSERT": "INSERT INTO {theirs} DEFAULT VALUES",
    "UPDATE": "UPDATE {theirs} SET {column} = {column}",
    "DELETE": "DELETE FROM {theirs}",
    "WITH … DELETE": "WITH gone AS (DELETE FROM {theirs} RETURNING {column}) SELECT * FROM gone",
    "MERGE": "MERGE INTO {theirs} AS a USING {ours} AS b ON false WHEN MATCHED THEN DELETE",
    "LOCK": "LOCK TABLE {theirs} IN ACCESS EXCLUSIVE MODE",
}
DEFINE: Final = {
    "CREATE TABLE": "CREATE TABLE {schema}.planted ()",
    "CREATE VIEW": "CREATE VIEW {own}.planted AS SELECT * FROM {theirs}",
    "CREATE INDEX": "CREATE INDEX ON {theirs} ({column})",
    "CREATE TRIGGER": "CREATE TRIGGER planted BEFORE UPDATE ON {theirs} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "ALTER TABLE": "ALTER TABLE {theirs} ADD planted int",
    "DROP TABLE": "DROP TABLE {theirs} CASCADE",
    "TRUNCATE": "TRUNCATE {theirs} CASCADE",
    "REFERENCES": "ALTER TABLE {ours} ADD planted bigint REFERENCES {theirs}",
    "GRANT": "GRANT SELECT ON {theirs} TO PUBLIC",
}
ITS_OWN: Final = {
    "CREATE TABLE": "CREATE TABLE {own}.planted ()",
    "SELECT INTO": "SELECT 1 AS one INTO {own}.planted",
    "ALTER TABLE": "ALTER TABLE {ours} ADD planted int",
    "DROP TABLE": "DROP TABLE {ours} CASCADE",
    "TRUNCATE": "TRUNCATE {ours} CASCADE",
    "CREATE TEMPORARY TABLE": "CREATE TEMPORARY TABLE planted ()",
    "CREATE SCHEMA": "CREATE SCHEMA planted",
    "CREATE FUNCTION": "CREATE FUNCTION {own}.planted() RETURNS int LANGUAGE sql RETURN 1",
    "DO": "DO $$ BEGIN NULL; END $$",
}
"""What no module does in its own schema while it serves."""
_HARDENED: Final = frozenset({"CREATE TEMPORARY TABLE", "DO"})
"""Refused where the server let us take these rights from PUBLIC."""


@dataclass(frozen=True)
class Speakers:
    """The logins of one migrated database, and who can speak by them."""

    engines: Engines
    application: Engine
    migrator: Engine
    names: RoleNames

    def by_handle(self, module: str, statement: str) -> bool:
        """Whether the module is refused the statement on its own handle."""
        try:
            with self.engines.database(module).transaction() as session:
                session.connection().exec_driver_sql(statement)
                raise _TakeBack
        except _TakeBack:
            return False
        except StatementRefused:
            return True
        except DBAPIError as error:
            return sqlstate(error) == INSUFFICIENT_PRIVILEGE

    def refused(self, connection: Connection, role: str, statement: str) -> bool:
        """Whether PostgreSQL itself refuses the role the statement; the transaction is rolled back."""
        with connection.begin() as transaction:
            connection.exec_driver_sql(f"SET LOCAL ROLE {identifier(role)}")
            try:
                connection.exec_driver_sql(statement)
            except DBAPIError as error:
                return sqlstate(error) == INSUFFICIENT_PRIVILEGE
            finally:
                transaction.rollback()
        return False


class _TakeBack(Exception):
    """Rolls a transaction back whose statement went through."""


def check_wall(speakers: Speakers, branches: Sequence[Branch], *, hardened: bool) -> Iterator[Finding]:
    with speakers.application.connect() as application, speakers.migrator.connect() as migrator:
        for branch in branches:
            role, owner = speakers.names.module(branch.name), speakers.names.owner(branch.name)
            for other in (other for other in branches if other is not branch):
                table = table_of(other)
                written = {verb: _written(sql, branch, other) for verb, sql in {**READ_AND_WRITE, **DEFINE}.items()}
                by_handle = [verb for verb, sql in written.items() if not speakers.by_handle(branch.name, sql)]
                by_role = [verb for verb, sql in written.items() if not speakers.refused(application, role, sql)]
                by_owner = [verb for verb, sql in written.items() if not speakers.refused(migrator, owner, sql)]
                yield from _holes(branch.name, other.name, table, list(dict.fromkeys([*by_handle, *by_role])))
                yield from _holes(f"the owner of {branch.name}", other.name, table, by_owner)
            own = {verb: _written(sql, branch, branch) for verb, sql in ITS_OWN.items() if hardened or verb not in _HARDENED}
            verbs = [verb for verb, sql in own.items() if not speakers.refused(application, role, sql)]
            yield from _holes(branch.name, branch.name, branch.name, verbs)


def _holes(who: str, module: str, where: str, verbs: Sequence[str]) -> Iterator[Finding]:
    if verbs:
        yield Finding(
            rule="data/wall",
            module=module,
            where=where,
            what=f"PostgreSQL does not refuse {who} {', '.join(verbs)} on {where}.",
            fix="See the findings on grants, owners and memberships, and close the way: what is not its own answers 42501.",
        )


def _written(statement: str, branch: Branch, other: Branch) -> str:
    column = next(iter(other.metadata.tables[table_of(other)].columns)).name
    return statement.format(
        own=branch.name, ours=table_of(branch), schema=other.name, theirs=table_of(other), column=identifier(column)
    )


def table_of(branch: Branch) -> str:
    """Any table that lies in the branch's schema."""
    return min(name for name, table in branch.metadata.tables.items() if table.schema == branch.name)
