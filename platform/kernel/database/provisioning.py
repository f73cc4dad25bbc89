"""Provisioning: the roles, schemas and privileges that the migrations of all branches stand on.

Everything is a list of `Step`s: a statement and the question whether it is done already. Migrations run what is missing;
`--sql` prints each with its question; `emporium db roles --sql` prints all for the administrator.
"""

# ruff: noqa: S608  # DDL takes no parameters; every name goes through identifier() or literal()
from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.database.embedded.provision import LOGIN_SETTINGS, hardening
from kernel.database.roles import RoleNames, role_states
from kernel.database.tables import SCHEMA as KERNEL

log = logging.getLogger("emporium.migrations")

VERSION_TABLE: Final = "alembic_version"
SESSION: Final = ("SET lock_timeout = '5s'", "SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0")
"""A migration may take long, but it may not queue long for a lock: whoever comes behind it would wait as well."""
_DML: Final = "SELECT, INSERT, UPDATE, DELETE"


class RolesUnavailable(Exception):
    """The roles are there only in part, or this login may not use them. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement, and an SQL condition that is true when it need not run.

    An optional step is left out where the login may not do it.
    """

    sql: str
    done: str
    optional: bool = False

    def guarded(self) -> str:
        """The statement behind its condition, for scripts that run later and more than once."""
        tolerant = " EXCEPTION WHEN insufficient_privilege OR invalid_grant_operation THEN NULL;" if self.optional else ""
        return f"DO $emporium$ BEGIN IF NOT ({self.done}) THEN {self.sql}; END IF;{tolerant} END $emporium$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which branches live in which database, and which logins work on it. `names=None`: without roles."""

    database: str
    branches: Sequence[str]
    migrator: str
    application: str
    names: RoleNames | None

    def all(self) -> list[Step]:
        """Everything, in the order in which one stands on the other."""
        if self.names is None:
            return [*self.login_settings(), *self.schemas()]
        return [*self.restrictions(), *self.login_settings(), *self.roles(), *self.schemas()]

    def owners(self) -> dict[str, str]:
        """Branch -> the role that runs its revisions; empty without roles."""
        return {} if self.names is None else {branch: self.names.owner(branch) for branch in self.branches}

    def script(self) -> str:
        """Everything as a script for the administrator, who may run it again at any time."""
        head = (
            f"-- For a superuser, connected to the database {self.database}; may be run again at any time.\n"
            f"-- The logins {', '.join(dict.fromkeys((self.migrator, self.application)))} have to exist:"
            " CREATE ROLE … LOGIN PASSWORD '…'.\n"
            "-- Roles are cluster-wide; DATABASE_ROLE_PREFIX chooses how their names begin.\n"
        )
        statements = [step.guarded() if step.sql.startswith("CREATE ") else step.sql for step in self.all()]
        return "\n".join(
            [head, "SET client_min_messages = warning;", "BEGIN;", *(f"{statement};" for statement in statements), "COMMIT;"]
        )

    def roles(self) -> list[Step]:
        """Two NOLOGIN roles per branch, given to the two logins."""
        return [step for branch in self.branches for step in self._roles_of(branch)]

    def schemas(self) -> list[Step]:
        """A schema per branch, and the rights on it that later tables come with."""
        steps = [step for branch in self.branches for step in self._schema(branch)]
        return steps + self._version_table()

    def restrictions(self) -> list[Step]:
        """What PUBLIC may not do here, because it would be a way around the roles."""
        done = (
            f"NOT has_database_privilege('public', {literal(self.database)}, 'TEMPORARY')"
            " AND NOT has_function_privilege('public', 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE')"
            " AND NOT has_language_privilege('public', 'plpgsql', 'USAGE')"
            " AND NOT has_language_privilege('public', 'sql', 'USAGE')"
        )
        statements = hardening(database=self.database, migrator=self.migrator)
        return [Step(sql=statement, done=done, optional=True) for statement in statements]

    def login_settings(self) -> list[Step]:
        """For how long the application's login may wait, and what of it is logged; what is set for it already stays."""
        return [
            Step(
                sql=f"ALTER ROLE {identifier(self.application)} IN DATABASE {identifier(self.database)} SET {name} = '{value}'",
                done="EXISTS (SELECT FROM pg_db_role_setting AS s, unnest(s.setconfig) AS entry(value)"
                f" WHERE s.setrole = {_oid(self.application)} AND (s.setdatabase = 0 OR s.setdatabase ="
                f" (SELECT oid FROM pg_database WHERE datname = {literal(self.database)}))"
                f" AND starts_with(entry.value, '{name}='))",
                optional=True,
            )
            for name, value in LOGIN_SETTINGS.items()
        ]

    def _roles_of(self, branch: str) -> list[Step]:
        if self.names is None:
            return []
        owner, module = self.names.owner(branch), self.names.module(branch)
        return [
            *(Step(sql=f"CREATE ROLE {identifier(role)} NOLOGIN", done=_exists(role)) for role in (owner, module)),
            Step(
                sql=f"GRANT {identifier(owner)} TO {identifier(self.migrator)} WITH INHERIT TRUE, SET TRUE",
                done=f"pg_has_role({literal(self.migrator)}, {literal(owner)}, 'USAGE')"
                f" AND pg_has_role({literal(self.migrator)}, {literal(owner)}, 'SET')",
            ),
            Step(
                sql=f"GRANT {identifier(module)} TO {identifier(self.application)} WITH INHERIT FALSE, SET TRUE",
                done=f"pg_has_role({literal(self.application)}, {literal(module)}, 'SET')",
            ),
            Step(
                sql=f"GRANT USAGE ON LANGUAGE plpgsql TO {identifier(owner)}",
                done=f"has_language_privilege({literal(owner)}, 'plpgsql', 'USAGE')",
                optional=True,
            ),
        ]

    def _schema(self, branch: str) -> list[Step]:
        owner = self.migrator if self.names is None else self.names.owner(branch)
        user = self.application if self.names is None else self.names.module(branch)
        schema, to = identifier(branch), identifier(owner)
        steps = [
            Step(
                sql=f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {to}",
                done=f"EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(branch)})",
            )
        ]
        if self.names is not None:
            steps += [
                Step(
                    sql=f"ALTER SCHEMA {schema} OWNER TO {to}",
                    done=f"EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(branch)} AND nspowner = {_oid(owner)})",
                ),
                _adoption(branch, owner, user),
            ]
        if user == owner:
            return steps
        return [
            *steps,
            Step(
                sql=f"GRANT USAGE ON SCHEMA {schema} TO {identifier(user)}",
                done=f"has_schema_privilege({literal(user)}, {literal(branch)}, 'USAGE')",
            ),
            _default_privileges(owner, branch, _DML, user),
        ]

    def _version_table(self) -> list[Step]:
        """The migrator owns the version table; the kernel's role reads it, for `/readyz`."""
        reader = self.application if self.names is None else self.names.module(KERNEL)
        if reader == self.migrator:
            return []
        table = f"{identifier(KERNEL)}.{VERSION_TABLE}"
        return [
            _default_privileges(self.migrator, KERNEL, "SELECT", reader),
            Step(
                sql=f"GRANT SELECT ON {table} TO {identifier(reader)}",
                done=f"CASE WHEN to_regclass({literal(table)}) IS NULL THEN true"
                f" ELSE has_table_privilege({literal(reader)}, to_regclass({literal(table)}), 'SELECT') END",
            ),
        ]


def _default_privileges(owner: str, schema: str, privileges: str, user: str) -> Step:
    last = privileges.rpartition(" ")[2]
    return Step(
        sql=f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(owner)} IN SCHEMA {identifier(schema)}"
        f" GRANT {privileges} ON TABLES TO {identifier(user)}",
        done="EXISTS (SELECT FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS a"
        f" WHERE d.defaclrole = {_oid(owner)} AND d.defaclobjtype = 'r' AND a.privilege_type = '{last}'"
        f" AND d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {literal(schema)})"
        f" AND a.grantee = {_oid(user)})",
    )


def _adoption(schema: str, owner: str, user: str) -> Step:
    """Hands what was made before the roles existed to the owner role."""
    tables = (
        "SELECT c.oid::regclass AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = {literal(schema)} AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname <> '{VERSION_TABLE}'"
        f" AND c.relowner <> {_oid(owner)}"
    )
    routines = (
        "SELECT p.oid::regprocedure AS name FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace"
        f" WHERE n.nspname = {literal(schema)} AND p.proowner <> {_oid(owner)}"
    )
    return Step(
        sql="DO $adopt$ DECLARE item record; BEGIN"
        f" FOR item IN {tables} LOOP"
        f" EXECUTE format('ALTER TABLE %s OWNER TO {identifier(owner)}', item.name);"
        f" EXECUTE format('GRANT {_DML} ON %s TO {identifier(user)}', item.name); END LOOP;"
        f" FOR item IN {routines} LOOP"
        f" EXECUTE format('ALTER ROUTINE %s OWNER TO {identifier(owner)}', item.name); END LOOP; END $adopt$",
        done=f"NOT EXISTS ({tables}) AND NOT EXISTS ({routines})",
    )


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _oid(role: str) -> str:
    return f"(SELECT oid FROM pg_roles WHERE rolname = {literal(role)})"


def _exists(role: str) -> str:
    return f"EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(role)})"


def can_use_roles(connection: Connection, names: RoleNames, branches: Sequence[str]) -> bool:
    """Whether migrations run with roles: they exist, or this login may create them. Raises RolesUnavailable."""
    states = role_states(connection, names, branches)
    missing = [state.role for state in states if not state.exists]
    creates = connection.exec_driver_sql(
        "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = session_user"
    ).scalar_one()
    if not missing or creates:
        return True
    if len(missing) < len(states):
        raise RolesUnavailable(
            f"The roles {', '.join(missing)} do not exist and this login may not create them: have the administrator"
            " run what `emporium db roles --sql` prints."
        )
    return False


def require_login(connection: Connection, login: str) -> None:
    """Errors: RolesUnavailable, when the application's login does not exist."""
    if not _driver_sql(connection, f"SELECT {_exists(login)}"):
        raise RolesUnavailable(f'The login "{login}" of DATABASE_URL does not exist on this server: create it first.')


def run(connection: Connection, steps: Iterable[Step]) -> list[str]:
    """Run what is not done yet, in the current transaction, and answer those statements. Raises RolesUnavailable."""
    steps, ran = list(steps), []
    if _all_done(connection, steps):
        return []
    for step in steps:
        if _driver_sql(connection, f"SELECT {step.done}"):
            continue
        try:
            with connection.begin_nested():
                _driver_sql(connection, step.sql)
        except DBAPIError as error:
            if not step.optional:
                raise RolesUnavailable(
                    f"This login may not run `{_short(step.sql)}` ({first_line(error)}): have the administrator run"
                    " what `emporium db roles --sql` prints."
                ) from error
            log.debug("left out: %s (%s)", step.sql, first_line(error))
            continue
        # A REVOKE or GRANT without the right to do it can also end in a mere warning.
        if _driver_sql(connection, f"SELECT {step.done}"):
            ran.append(step.sql)
    return ran


def _all_done(connection: Connection, steps: Sequence[Step]) -> bool:
    """Asked in one statement, as it is so at nearly every start."""
    try:
        with connection.begin_nested():
            return bool(_driver_sql(connection, f"SELECT {' AND '.join(f'({step.done})' for step in steps)}"))
    except DBAPIError:
        # Some questions can only be asked once the role or schema is there.
        return False


def missing_restrictions(connection: Connection, plan: Plan) -> bool:
    """Whether PUBLIC still has one of the ways around the roles."""
    return not all(_driver_sql(connection, f"SELECT {step.done}") for step in plan.restrictions())


def _driver_sql(connection: Connection, sql: str) -> object:
    # `no_parameters`: psycopg2 would take the `%` of a DO block for a placeholder.
    result = connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
    return result.scalar() if result.returns_rows else None


def _short(sql: str) -> str:
    return sql if len(sql) < 100 else f"{sql[:97]}…"


def first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]
