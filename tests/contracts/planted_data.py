"""Violations of the gate `data`."""

from __future__ import annotations

from typing import Final

from tests.contracts.planted_data_live import LIVE
from tests.planting import Append, Edit, Planting

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

PLANTINGS: Final[list[Planting]] = [*_SQL, *_TABLES, *_ROLES, *LIVE]
