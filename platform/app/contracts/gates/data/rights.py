"""Rights: owners, grants, default privileges and memberships, derived from the modules and compared with the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from app.contracts.finding import Finding
from kernel.database.provisioning import VERSION_TABLE, Plan
from kernel.database.roles import RoleNames
from kernel.database.tables import SCHEMA as KERNEL

DML: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
PUBLIC: Final = "everybody (PUBLIC)"

_OURS: Final = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
_OBJECTS: Final = text(
    f"""
    SELECT n.nspname AS schema, c.relname AS name, c.relowner::regrole::text AS owner,
      CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_OURS}
    UNION ALL
    SELECT n.nspname, p.proname, p.proowner::regrole::text, 'function'
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS}
    UNION ALL
    SELECT n.nspname, t.typname, t.typowner::regrole::text, 'type'
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') AND {_OURS}
    UNION ALL
    SELECT n.nspname, '', n.nspowner::regrole::text, 'schema' FROM pg_namespace n WHERE n.nspname <> 'public' AND {_OURS}
    ORDER BY 1, 2
    """  # noqa: S608 -- constants
)
_GRANTS: Final = text(
    f"""
    SELECT schema, name, kind, grantee::regrole::text AS grantee, privilege_type AS privilege FROM (
      SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
        c.relowner AS owner, a.*
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a WHERE {_OURS}
      UNION ALL
      SELECT n.nspname, c.relname || '.' || t.attname, 'column', c.relowner, a.*
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
        aclexplode(t.attacl) a WHERE {_OURS}
      UNION ALL
      SELECT n.nspname, p.proname, 'function', p.proowner, a.*
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) a WHERE {_OURS}
      UNION ALL
      SELECT n.nspname, '', 'schema', n.nspowner, a.* FROM pg_namespace n, aclexplode(n.nspacl) a WHERE {_OURS}
    ) AS granted WHERE grantee <> owner ORDER BY 1, 2, 4, 5
    """  # noqa: S608 -- constants
)
_DEFAULTS: Final = text(
    """
    SELECT d.defaclrole::regrole::text AS owner, COALESCE(n.nspname, 'every schema') AS schema, d.defaclobjtype::text AS kind,
      a.grantee::regrole::text AS grantee, a.privilege_type AS privilege
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
    WHERE a.grantee <> d.defaclrole ORDER BY 1, 2, 3, 4, 5
    """
)
_MEMBERS: Final = text(
    """
    SELECT roleid::regrole::text AS role, member::regrole::text AS member, bool_or(inherit_option) AS inherits,
      bool_or(set_option) AS sets
    FROM pg_auth_members WHERE roleid::regrole::text = ANY(:roles) OR member::regrole::text = ANY(:roles)
      OR (member::regrole::text = :application AND starts_with(roleid::regrole::text, 'pg_'))
    GROUP BY 1, 2 ORDER BY 1, 2
    """
)
_ALMIGHTY: Final = text("SELECT rolname FROM pg_roles WHERE rolsuper")
_POWERS: Final = text(
    """
    SELECT oid::regrole::text AS role, ARRAY_REMOVE(ARRAY[
      CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
      CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
      CASE WHEN rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN rolcanlogin AND rolname <> :application THEN 'LOGIN' END], NULL)
      AS powers
    FROM pg_roles WHERE oid::regrole::text = ANY(:roles) OR rolname = :application ORDER BY 1
    """
)
_PUBLIC: Final = text(
    """
    SELECT has_database_privilege('public', CAST(:database AS text), 'TEMPORARY') AS "make temporary tables",
      has_function_privilege('public', 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE') AS "call set_config",
      has_language_privilege('public', 'plpgsql', 'USAGE') AS "write functions in plpgsql",
      has_language_privilege('public', 'sql', 'USAGE') AS "write functions in sql",
      has_schema_privilege('public', 'public', 'CREATE') AS "make tables in the schema public"
    """
)


def check_rights(connection: Connection, plan: Plan, *, hardened: bool = True) -> Iterator[Finding]:
    """What differs on the database of `connection`. `hardened`: PUBLIC can have lost what would be a way around the roles."""
    names = plan.names
    if names is None:
        raise ValueError("Without roles there is nothing to compare.")
    rights = _Rights(connection, plan, names)
    yield from rights.owners()
    yield from rights.grants()
    if hardened:
        yield from rights.of_everybody()
    yield from rights.defaults()
    yield from rights.members()
    yield from rights.powers()


@dataclass(frozen=True)
class _Rights:
    connection: Connection
    plan: Plan
    names: RoleNames

    @cached_property
    def _labels(self) -> Mapping[str, str]:
        """The roles as people call them: their names differ from database to database."""
        labels = {"-": PUBLIC, self.plan.application: "the application's login", self.plan.migrator: "the migrator"}
        for branch in self.plan.branches:
            labels |= {self.names.owner(branch): f"the owner of {branch}", self.names.module(branch): f"the role of {branch}"}
        return labels

    def _label(self, role: str) -> str:
        return self._labels.get(role.strip('"'), role)

    def _owner(self, schema: str, name: str) -> str:
        return self.plan.migrator if (schema, name) == (KERNEL, VERSION_TABLE) else self.names.owner(schema)

    def owners(self) -> Iterator[Finding]:
        for row in self.connection.execute(_OBJECTS):
            if row.schema not in self.plan.branches:
                what = f"The {row.kind} {_shown(row)} belongs to no module."
                fix = "Make it in the schema of the module whose migration makes it, and nowhere else."
                yield _finding("owner", "app", _shown(row), what, fix)
                continue
            wanted = self._owner(row.schema, row.name)
            if row.owner.strip('"') != wanted:
                what = f"The {row.kind} {_shown(row)} belongs to {self._label(row.owner)} instead of {self._label(wanted)}."
                fix = (
                    f"Let the revision that makes it run as it is run, as {self._label(wanted)}: take what changes role or"
                    " owner out of it; on a real database, `emporium db roles --sql` is for the administrator."
                )
                yield _finding("owner", row.schema, _shown(row), what, fix)

    def grants(self) -> Iterator[Finding]:
        given: dict[tuple[str, str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for row in self.connection.execute(_GRANTS):
            given[row.schema, row.name, row.kind][row.grantee.strip('"')].add(row.privilege)
        for row in self.connection.execute(_OBJECTS):
            given[row.schema, row.name, "table" if row.kind == "view" else row.kind].setdefault("", set())
        for (schema, name, kind), found in sorted(given.items()):
            if schema in self.plan.branches and kind != "type":
                wanted = self._granted(schema, name, kind)
                yield from self._compared(schema, f"{schema}.{name}".rstrip("."), kind, wanted, found)

    def _granted(self, schema: str, name: str, kind: str) -> Mapping[str, frozenset[str]]:
        """Who has which right on something, besides its owner."""
        role = self.names.module(schema)
        if kind == "schema":
            return {role: frozenset({"USAGE"})}
        if kind == "table":
            return {role: frozenset({"SELECT"}) if (schema, name) == (KERNEL, VERSION_TABLE) else DML}
        return {}

    def _compared(
        self, module: str, shown: str, kind: str, wanted: Mapping[str, frozenset[str]], found: Mapping[str, set[str]]
    ) -> Iterator[Finding]:
        # A function that everybody may call is out of reach without the schema.
        harmless = {"-", *wanted, self.names.module(module)} if kind == "function" else {""}
        for role in sorted({*wanted, *found} - harmless):
            more = sorted(found.get(role, set()) - wanted.get(role, frozenset()))
            less = sorted(wanted.get(role, frozenset()) - found.get(role, set()))
            if more:
                what = f"On the {kind} {shown}, {self._label(role)} has {', '.join(more)}."
                fix = (
                    "Take the GRANT out of the revision (or of kernel/database/provisioning.py): rights follow from the module"
                    " descriptions, and what other modules may know goes through the interface."
                )
                yield _finding("grant", module, shown, what, fix)
            if less:
                what = f"On the {kind} {shown}, {self._label(role)} lacks {', '.join(less)}."
                fix = "Take the REVOKE out of the revision; a table that the owner of the schema makes comes with these rights."
                yield _finding("grant", module, shown, what, fix)

    def of_everybody(self) -> Iterator[Finding]:
        row = self.connection.execute(_PUBLIC, {"database": self.plan.database}).one()
        for power, may in row._mapping.items():
            if may:
                what = f"{PUBLIC[0].upper()}{PUBLIC[1:]} may {power}."
                fix = (
                    "Put the REVOKE back into `hardening` of kernel/database/embedded/provision.py: it leads around the roles."
                )
                yield _finding("grant", "kernel", "PUBLIC", what, fix)

    def defaults(self) -> Iterator[Finding]:
        wanted = {
            (self.names.owner(branch), branch, "r", self.names.module(branch), privilege)
            for branch in self.plan.branches
            for privilege in DML
        }
        if self.plan.migrator != self.names.module(KERNEL):
            wanted.add((self.plan.migrator, KERNEL, "r", self.names.module(KERNEL), "SELECT"))
        found = {
            (row.owner.strip('"'), row.schema, row.kind, row.grantee.strip('"'), row.privilege)
            for row in self.connection.execute(_DEFAULTS)
        }
        for owner, schema, kind, grantee, privilege in sorted(found ^ wanted):
            more = (owner, schema, kind, grantee, privilege) in found
            things = {"r": "tables", "S": "sequences", "f": "functions", "T": "types", "n": "schemas"}[kind]
            verb = "comes with" if more else "lacks"
            what = f"What {self._label(owner)} makes in {schema} ({things}) {verb} {privilege} for {self._label(grantee)}."
            fix = "Take ALTER DEFAULT PRIVILEGES out of the revision: kernel/database/provisioning.py alone says them."
            yield _finding("default-privilege", schema if schema in self.plan.branches else "kernel", schema, what, fix)

    def members(self) -> Iterator[Finding]:
        wanted = {(self.names.owner(branch), self.plan.migrator): (True, True) for branch in self.plan.branches}
        for branch in self.plan.branches:
            wanted[self.names.module(branch), self.plan.application] = (False, True)
        roles = [role for branch in self.plan.branches for role in (self.names.owner(branch), self.names.module(branch))]
        rows = self.connection.execute(_MEMBERS, {"roles": _quoted(roles), "application": self.plan.application})
        found = {(row.role.strip('"'), row.member.strip('"')): (row.inherits, row.sets) for row in rows}
        # To a superuser nobody needs to give anything.
        almighty = set(self.connection.scalars(_ALMIGHTY))
        for key in sorted(key for key in {*found, *wanted} if key[1] not in almighty):
            # Whoever makes a role may give it away: CREATEROLE brings that, and neither the rights nor the role itself.
            if found.get(key, (False, False)) != wanted.get(key, (False, False)):
                yield self._membership(*key, found.get(key), wanted.get(key, (False, False)))

    def _membership(self, role: str, member: str, found: tuple[bool, bool] | None, wanted: tuple[bool, bool]) -> Finding:
        has = "is no member" if found is None else f"is a member with {_options(found)}"
        what = f"Of {self._label(role)}, {self._label(member)} {has}, instead of {_options(wanted)}."
        fix = "Put it right in `Plan.roles` of kernel/database/provisioning.py; a revision gives no role to anybody."
        module = next((b for b in self.plan.branches if role in (self.names.owner(b), self.names.module(b))), "kernel")
        return _finding("membership", module, self._label(role), what, fix)

    def powers(self) -> Iterator[Finding]:
        roles = [role for branch in self.plan.branches for role in (self.names.owner(branch), self.names.module(branch))]
        rows = self.connection.execute(_POWERS, {"roles": _quoted(roles), "application": self.plan.application})
        for row in rows:
            # One login for everything needs what the migrator needs; start-up says so.
            if row.powers and not (row.role.strip('"') == self.plan.application == self.plan.migrator):
                what = f"{self._label(row.role).capitalize()} is {' and '.join(row.powers)}."
                fix = "Take it away with ALTER ROLE: a role that modules speak as has no power beyond its tables."
                yield _finding("membership", "kernel", self._label(row.role), what, fix)


def _shown(row: Row[Any]) -> str:
    return f"{row.schema}.{row.name}" if row.name else str(row.schema)


def _options(options: tuple[bool, bool]) -> str:
    inherits, sets = options
    return f"INHERIT {'TRUE' if inherits else 'FALSE'}, SET {'TRUE' if sets else 'FALSE'}"


def _quoted(roles: list[str]) -> list[str]:
    """As `regrole` shows them, whether it quotes them or not."""
    return [*roles, *(f'"{role}"' for role in roles)]


def _finding(rule: str, module: str, where: str, what: str, fix: str) -> Finding:
    return Finding(rule=f"data/{rule}", module=module, where=where, what=what, fix=fix)
