"""Violations of the gate `data` that only a database shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tests.planting import ROOT, Append, Edit, Planting, Replace, Write

ORDERS: Final = "modules/ordering/crud/orders.py"
PAYMENTS: Final = "modules/ordering/crud/payments.py"
TABLES: Final = "modules/ordering/migrations/2026_11_22_1100_ordering_tables.py"


def _live(
    claim: str, rule: str, edits: Sequence[Edit], *, where: str, says: str = "", fix: str = "", alone: bool = False
) -> Planting:
    return Planting(claim=claim, rule=f"data/{rule}", edits=edits, where=where, says=says, fix=fix, live=True, alone=alone)


def _revision(module: str, *statements: str) -> Write:
    """One more revision of the module."""
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "modules" / module / "migrations").glob("*.py")]
    made = {found[1] for text in files if (found := re.search(r'^revision\b.*= "(\w+)"', text, re.MULTILINE))}
    followed = {found[1] for text in files if (found := re.search(r'^down_revision\b.*= "(\w+)"', text, re.MULTILINE))}
    [head] = made - followed
    lines = "\n".join(f"    op.execute({statement})" for statement in statements)
    text = (
        f'"""Planted."""\n\nfrom alembic import op\n\nrevision = "planted_{module}"\ndown_revision = "{head}"\n'
        f"branch_labels = None\ndepends_on = None\n\n\ndef upgrade() -> None:\n{lines}\n\n\n"
        "def downgrade() -> None:\n    raise NotImplementedError\n"
    )
    return Write(file=f"modules/{module}/migrations/2099_01_01_0000_planted.py", text=text)


def _granting(statement: str, *, to: str, owner: str) -> str:
    """A statement with `%I` for another role, whose name only the database knows."""
    return f"\"DO $$ BEGIN EXECUTE format('{statement}', replace(current_user, '_{owner}_owner', '_{to}')); END $$\""


_USERS: Final = [
    _revision(
        "users",
        _granting("GRANT USAGE ON SCHEMA users TO %I", to="ordering", owner="users"),
        _granting("GRANT SELECT, UPDATE ON users.accounts TO %I", to="ordering", owner="users"),
        '"GRANT SELECT ON users.role_grants TO PUBLIC"',
        _granting("GRANT UPDATE (generation) ON users.token_families TO %I", to="catalog", owner="users"),
        _granting("REVOKE DELETE ON users.token_families FROM %I", to="users", owner="users"),
        '"ALTER DEFAULT PRIVILEGES IN SCHEMA users GRANT SELECT ON TABLES TO PUBLIC"',
    )
]
_CATALOG: Final = [
    _revision(
        "catalog",
        '"RESET ROLE"',
        '"CREATE TABLE catalog.audit (id integer)"',
        '"CREATE FUNCTION catalog.note() RETURNS integer LANGUAGE sql RETURN 1"',
        "\"DO $$ BEGIN EXECUTE format('GRANT %I TO %I', current_database() || '_catalog_owner', 'emporium_app'); END $$\"",
    )
]
_ORDERING: Final = [
    _revision(
        "ordering",
        '"RESET ROLE"',
        '"ALTER TABLE ordering.order_lines ADD CONSTRAINT planted FOREIGN KEY (product_id) REFERENCES @products"'
        '.replace("@", "catalog.")',
        '"CREATE VIEW ordering.names AS SELECT name FROM @products".replace("@", "catalog.")',
        '"CREATE FUNCTION ordering.names_of() RETURNS integer LANGUAGE plpgsql AS"'
        ' " $$ BEGIN RETURN (SELECT count(*) FROM @products); END $$".replace("@", "catalog.")',
    )
]
_PROVISIONING: Final = "platform/kernel/database/provisioning.py"
_HARDENING: Final = "platform/kernel/database/embedded/provision.py"

_RIGHTS: Final = [
    _live(
        "a_right_for_a_neighbour",
        "grant",
        _USERS,
        where="users.accounts",
        says="On the table users.accounts, the role of ordering has SELECT, UPDATE.",
        fix="Take the GRANT out of the revision",
    ),
    _live(
        "the_schema_for_a_neighbour",
        "grant",
        _USERS,
        where="users",
        says="On the schema users, the role of ordering has USAGE.",
    ),
    _live("a_right_for_everybody", "grant", _USERS, where="users.role_grants", says="everybody (PUBLIC) has SELECT"),
    _live(
        "a_right_on_one_column", "grant", _USERS, where="users.token_families.generation", says="the role of catalog has UPDATE"
    ),
    _live("a_right_taken_away", "grant", _USERS, where="users.token_families", says="the role of users lacks DELETE"),
    _live(
        "temporary_tables_for_everybody",
        "grant",
        [Replace(file=_HARDENING, old='        f"REVOKE TEMPORARY ON DATABASE {_quoted(database)} FROM PUBLIC",\n', new="")],
        where="PUBLIC",
        says="Everybody (PUBLIC) may make temporary tables",
        fix="Put the REVOKE back",
    ),
    _live(
        "rights_for_everybody_on_what_comes_later",
        "default-privilege",
        _USERS,
        where="users",
        says="What the owner of users makes in users (tables) comes with SELECT for everybody (PUBLIC).",
        fix="Take ALTER DEFAULT PRIVILEGES out of the revision",
    ),
    _live(
        "a_way_through_the_wall",
        "wall",
        _USERS,
        where="users.accounts",
        says="PostgreSQL does not refuse ordering SELECT, JOIN, UPDATE",
        fix="See the findings on grants",
    ),
    _live(
        "a_table_that_the_migrator_owns",
        "owner",
        _CATALOG,
        where="catalog.audit",
        says="The table catalog.audit belongs to the migrator instead of the owner of catalog.",
        fix="take what changes role or owner out of it",
    ),
    _live(
        "a_function_that_the_migrator_owns",
        "owner",
        _CATALOG,
        where="catalog.note",
        says="The function catalog.note belongs to",
    ),
    _live(
        "an_owner_for_the_application",
        "membership",
        _CATALOG,
        where="the owner of catalog",
        says="the application's login is a member with",
        fix="a revision gives no role to anybody",
    ),
    _live(
        "a_login_that_inherits_its_roles",
        "membership",
        [Replace(file=_PROVISIONING, old="WITH INHERIT FALSE, SET TRUE", new="WITH INHERIT TRUE, SET TRUE")],
        where="the role of users",
        says="is a member with INHERIT TRUE, SET TRUE, instead of INHERIT FALSE, SET TRUE",
        fix="`Plan.roles` of kernel/database/provisioning.py",
    ),
    _live(
        "a_foreign_key_in_the_database",
        "foreign-key",
        _ORDERING,
        where="ordering.order_lines",
        says="a foreign key of ordering.order_lines leads to catalog.products",
        fix="drops it",
    ),
    _live(
        "a_view_in_the_database", "view", _ORDERING, where="ordering.names", says="of ordering.names leads to catalog.products"
    ),
    _live(
        "a_function_on_a_neighbours_table",
        "view",
        _ORDERING,
        where="ordering.names_of",
        says="The function ordering.names_of names what belongs to catalog",
    ),
]

_KEPT: Final = [
    _live(
        "a_statement_on_a_column_that_is_not_there",
        "statement",
        [Append(file=ORDERS, text='_COLOUR = text("SELECT colour FROM ordering.orders WHERE id = :order_id")')],
        where=ORDERS,
        says='PostgreSQL refuses _COLOUR to the role of ordering: column "colour" does not exist',
        fix="Mend the statement, or write the revision that it waits for",
    ),
    _live(
        "a_statement_on_a_table_of_others_that_no_text_shows",
        "statement",
        [Append(file=PAYMENTS, text='_PEEK = {"stock": text("SELECT quantity FROM @stock".replace("@", "catalog."))}')],
        where=PAYMENTS,
        says="PostgreSQL refuses _PEEK to the role of ordering: permission denied for schema catalog",
        fix="through that module's interface",
    ),
    _live(
        "a_copy_into_a_column_that_is_not_there",
        "statement",
        [Append(file="modules/catalog/crud/importing.py", text='_OLD = "COPY catalog.import_lines (colour) FROM STDIN"')],
        where="modules/catalog/crud/importing.py",
        says="PostgreSQL refuses _OLD to the role of catalog",
    ),
]

_OWNERSHIP: Final = "platform/kernel/database/ownership.py"


def _loosened(claim: str, form: str, old: str, new: str) -> Planting:
    edit = Replace(file=_OWNERSHIP, old=old, new=new)
    says = f"The guard lets `{form}` pass to PostgreSQL."
    return _live(
        f"a_guard_that_passes_{claim}", "guard", [edit], where=_OWNERSHIP, says=says, fix="Refuse it before it is sent"
    )


_GUARD: Final = [
    _loosened("set", "SET LOCAL ROLE", '{"SELECT", "INSERT"', '{"SELECT", "SET", "INSERT"'),
    _loosened("reset", "RESET ROLE", '"UPDATE", "DELETE"', '"UPDATE", "RESET", "DELETE"'),
    _loosened("do", "DO", '"DELETE", "MERGE"', '"DELETE", "DO", "MERGE"'),
    _loosened("functions", "CREATE FUNCTION", '"MERGE", "WITH"', '"MERGE", "CREATE", "WITH"'),
    _loosened("commit", "COMMIT", '"WITH", "VALUES"', '"WITH", "COMMIT", "VALUES"'),
    _loosened("prepare", "PREPARE", '"VALUES", "LOCK"', '"VALUES", "PREPARE", "LOCK"'),
    _loosened("copy", "COPY … TO PROGRAM", '"LOCK"})', '"LOCK", "COPY"})'),
    _loosened("notify", "NOTIFY", '"INSERT", "UPDATE"', '"INSERT", "NOTIFY", "UPDATE"'),
    _loosened("several_statements", "two statements", '    if ";" in statement:\n', "    if False:\n"),
    _loosened("comments", "a comment in front", 'r"[\\s(]*([A-Za-z]+)"', 'r"[\\s(/*-]*([A-Za-z]+)"'),
    _loosened(
        "what_stands_behind_a_savepoint", "a savepoint with more behind it", 'sa_savepoint_\\d+\\Z")', 'sa_savepoint_\\d+")'
    ),
    _loosened(
        "bytes",
        "a statement of bytes",
        "        return query\n    raise",
        "        return query\n    return str(query, 'utf-8')\n    raise",
    ),
    _loosened("executemany", "executemany", "        _needs_role(statement)\n        check", "        check"),
    _loosened(
        "copy_from",
        "copy_from",
        'raise StatementRefused("Use `copy_expert`: `copy_from` would run without the module\'s role.")',
        "super().copy_from(*_, **__)",
    ),
    _loosened(
        "copy_to",
        "copy_to",
        'raise StatementRefused("Use `copy_expert`: `copy_to` would run without the module\'s role.")',
        "super().copy_to(*_, **__)",
    ),
    _loosened(
        "any_copy",
        "copy_expert TO PROGRAM",
        """if ";" in statement or not _COPY.match(_QUOTED.sub("''", statement)):""",
        "if not statement:",
    ),
    _loosened("any_name_of_a_routine", "callproc with more behind it", "if not _ROUTINE.fullmatch", "if not str"),
]

LIVE: Final[list[Planting]] = [*_RIGHTS, *_KEPT, *_GUARD]
