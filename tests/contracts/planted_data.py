"""Violations of the gate `data`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tests.planting import ROOT, Append, Edit, Planting, Replace, Write

ORDERS: Final = "modules/ordering/crud/orders.py"
REFUNDS: Final = "modules/ordering/crud/refunds.py"
PAYMENTS: Final = "modules/ordering/crud/payments.py"
MODELS: Final = "modules/ordering/models.py"
TABLES: Final = "modules/ordering/migrations/2026_11_22_1100_ordering_tables.py"


def _static(claim: str, rule: str, edit: Edit, *, says: str = "", fix: str = "", where: str | None = None) -> Planting:
    return Planting(claim=claim, rule=f"data/{rule}", edits=[edit], where=where or edit.file, says=says, fix=fix)


_SQL: Final = [
    _static(
        "a_join_by_raw_sql",
        "foreign-sql",
        Append(file=ORDERS, text='_J = text("SELECT p.name FROM ordering.orders o JOIN catalog.products p ON p.id = o.id")'),
        says="SQL of ordering names catalog.products, which belongs to catalog",
        fix="Call a method of catalog.interface instead",
    ),
    _static(
        "a_statement_put_together_from_an_f_string_and_a_constant_in_a_function",
        "foreign-sql",
        Append(
            file=REFUNDS,
            text='def _peek(session: Session) -> None:\n    where = "cata" + "log"\n'
            '    session.execute(text(f"select quantity from {where}.stock"))',
        ),
        says="SQL of ordering names catalog.stock",
    ),
    _static(
        "a_table_object_made_on_the_spot",
        "foreign-sql",
        Append(
            file=PAYMENTS,
            text="def _peek() -> object:\n    from sqlalchemy import table as source\n\n"
            '    return source("reservations", schema="catalog")',
        ),
        says="catalog.reservations",
    ),
    _static(
        "a_table_with_a_metadata_of_its_own",
        "foreign-sql",
        Append(
            file="modules/users/crud/roles.py",
            text="def _t() -> object:\n    import sqlalchemy as sa\n\n"
            '    return sa.Table("orders", sa.MetaData(schema="ordering"))',
        ),
        says="SQL of users names ordering.",
    ),
    _static(
        "quoted_names_over_several_lines_for_the_driver",
        "foreign-sql",
        Append(
            file="modules/catalog/crud/stock.py",
            text="def _peek(session: Session) -> None:\n    session.connection().exec_driver_sql(\n"
            '        "WITH gone AS ("\n        \'  DELETE FROM "ordering"\'\n'
            "        '  . \"order_lines\" RETURNING product_id'\n"
            '        ") SELECT * FROM gone"\n    )',
        ),
        says="SQL of catalog names ordering.order_lines",
        fix="that a listener fills from ordering's events (listeners.py)",
    ),
    _static(
        "a_table_of_the_kernel",
        "foreign-sql",
        Append(
            file="modules/users/crud/accounts.py",
            text='_EPOCH = text("UPDATE kernel.principals SET epoch = epoch + 1 WHERE user_id = :user_id")',
        ),
        says="SQL of users names kernel.principals",
        fix="the container hands them",
    ),
    _static(
        "a_neighbours_models",
        "foreign-sql",
        Append(
            file="modules/ordering/service/states.py",
            text="def _peek() -> object:\n    from catalog.models import Stock\n\n    return Stock",
        ),
        says="catalog.models.Stock",
    ),
    _static(
        "a_schema_that_shows_at_run_time_only",
        "foreign-sql",
        Append(
            file="modules/catalog/crud/exporting.py",
            text="def _any(session: Session, schema: str) -> None:\n"
            '    session.connection().exec_driver_sql(f"TABLE {schema}.rows")',
        ),
        says="names its schema only when it runs",
        fix="`catalog.<table>`",
    ),
]

_TABLES: Final = [
    _static(
        "a_foreign_key_by_name",
        "foreign-key",
        Append(
            file=MODELS,
            text='class Wish(Base):\n    __tablename__ = "wishes"\n\n    id: Mapped[Id]\n'
            '    product_id: Mapped[int] = mapped_column(ForeignKey("catalog.products.id"))',
        ),
        says="A foreign key of ordering leads to catalog.products",
        fix="plain BIGINT column",
    ),
    _static(
        "a_foreign_key_under_another_name",
        "foreign-key",
        Append(
            file=MODELS,
            text='_key = ForeignKey\n\n\nclass Gift(Base):\n    __tablename__ = "gifts"\n\n    id: Mapped[Id]\n'
            '    user_id: Mapped[int] = mapped_column(_key("users.accounts.id"))',
        ),
        says="A foreign key of ordering leads to users.accounts",
    ),
    _static(
        "a_foreign_key_in_a_revision",
        "foreign-key",
        Append(
            file=TABLES,
            text="def later() -> None:\n    op.create_foreign_key(\n"
            '        "fk", "order_lines", "products", ["product_id"], ["id"],\n'
            '        source_schema="ordering", referent_schema="catalog",\n    )',
        ),
        says="catalog.products",
    ),
    _static(
        "a_relationship_by_name",
        "relationship",
        Append(
            file="modules/users/models.py",
            text='from sqlalchemy.orm import relationship\n\n\nclass Basket(Base):\n    __tablename__ = "baskets"\n\n'
            '    id: Mapped[Id]\n    orders = relationship("Order", primaryjoin="Basket.id == foreign(Order.user_id)",'
            ' lazy="raise")',
        ),
        says="The relationship Basket.orders of users leads into ordering",
        fix="Delete it and keep the id",
    ),
    _static(
        "a_relationship_by_a_secondary_table",
        "relationship",
        Append(
            file="modules/catalog/models.py",
            text="from sqlalchemy import Table\nfrom sqlalchemy.orm import relationship\n\n\nclass Shelf(Base):\n"
            '    __tablename__ = "shelves"\n\n    id: Mapped[Id]\n    products: Mapped[list[Product]] = relationship(\n'
            '        lazy="raise", secondary="ordering.shelf_products"\n    )',
        ),
        says="The relationship Shelf.products of catalog leads into ordering",
    ),
    _static(
        "a_table_in_another_schema",
        "stranger-table",
        Append(
            file=MODELS,
            text='class Price(Base):\n    __tablename__ = "prices"\n'
            '    __table_args__ = ({"schema": "catalog"},)\n\n    id: Mapped[Id]',
        ),
        says="ordering declares the table catalog.prices, which is not in its schema",
        fix="Take `schema=` out",
    ),
    _static(
        "a_metadata_beside_the_modules_own",
        "stranger-table",
        Append(
            file="modules/users/schemas.py",
            text="def _other() -> object:\n    from kernel.database.types import module_metadata as made\n\n"
            '    return made("catalog")',
        ),
        says="users makes a MetaData beside its own",
    ),
    _static(
        "a_view_on_a_neighbours_table",
        "view",
        Append(
            file=TABLES,
            text='def view() -> None:\n    op.execute("CREATE VIEW ordering.v AS SELECT name FROM catalog.products")',
        ),
        says="DDL of ordering names catalog.products, which belongs to catalog",
        fix="ask catalog's team for that change in their branch",
    ),
    _static(
        "a_column_for_a_neighbours_table",
        "view",
        Append(
            file=TABLES, text='def more() -> None:\n    op.add_column("stock", sa.Column("n", sa.Integer()), schema="catalog")'
        ),
        says="DDL of ordering names catalog.stock",
    ),
    _static(
        "a_view_made_by_the_models",
        "view",
        Append(
            file="modules/catalog/models.py",
            text='from sqlalchemy import DDL\n\n_V = DDL("CREATE VIEW catalog.v AS SELECT total FROM ordering.orders")',
        ),
        says="DDL of catalog names ordering.orders",
    ),
]

_ROLES: Final = [
    _static(
        "another_role_by_a_statement",
        "role-switch",
        Append(file=ORDERS, text='_AS_OTHER = text("/* for a moment */ set local role emporium_catalog")'),
        says="ordering says a statement that changes the role",
        fix="only the kernel switches roles",
    ),
    _static(
        "another_role_by_set_config",
        "role-switch",
        Append(file=REFUNDS, text="_AS_LOGIN = text(\"SELECT \" + \"set_config('role', 'none', true)\")"),
        says="set_config",
    ),
    _static(
        "another_role_behind_a_semicolon",
        "role-switch",
        Append(file=PAYMENTS, text='_TWO = text("SELECT 1; LOCK TABLE ordering.payments")'),
        says="ordering puts several statements into one text",
    ),
    _static(
        "another_role_in_a_revision",
        "role-switch",
        Append(file=TABLES, text='def free() -> None:\n    op.execute("RESET ROLE")'),
        says="`RESET ROLE`",
    ),
    _static(
        "an_engine_of_its_own",
        "role-switch",
        Append(
            file="modules/catalog/crud/products.py",
            text="def _open(url: str) -> object:\n    import sqlalchemy as sa\n\n    return sa.create_engine(url)",
        ),
        says="catalog opens connections of its own: `sqlalchemy.create_engine`",
    ),
    _static(
        "the_engine_behind_the_session",
        "role-switch",
        Append(
            file="modules/users/crud/token_families.py",
            text="def _past(session: Session) -> object:\n    return session.connection().engine.connect()",
        ),
        says="users reaches past its handle on the database: `.engine`",
    ),
    _static(
        "the_kernels_engines",
        "role-switch",
        Append(
            file="modules/users/settings.py",
            text="def _engines() -> object:\n    from kernel.database.engines import Engines\n\n    return Engines",
        ),
        says="`kernel.database.engines.Engines`",
    ),
    _static(
        "a_statement_made_in_a_service",
        "sql-outside-crud",
        Append(file="modules/catalog/service/stock.py", text="from sqlalchemy import select"),
        says="The service of catalog takes sqlalchemy.select, which makes SQL",
        fix="Move the statement into a function of catalog.crud",
    ),
    _static(
        "a_statement_run_in_a_service",
        "sql-outside-crud",
        Append(
            file="modules/ordering/service/shipping.py",
            text="def _run(self: ShippingUseCases, statement: object) -> object:\n"
            "    with self._database.read() as where:\n        here = where\n        return here.execute(statement)",
        ),
        says="uses the session's `execute` itself",
    ),
    _static(
        "a_statement_run_by_a_command",
        "sql-outside-crud",
        Append(
            file="modules/users/cli.py",
            text='def _run(c) -> object:\n    return c.exec_driver_sql("SELECT 1 FROM users.accounts")',
        ),
        says="The cli of users runs SQL with `exec_driver_sql`",
    ),
]


# ---- seen by the database only


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

PLANTINGS: Final[list[Planting]] = [*_SQL, *_TABLES, *_ROLES, *_RIGHTS, *_KEPT, *_GUARD]
