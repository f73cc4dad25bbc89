"""What the gate `data` takes for SQL in the code, and what it does not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from app.contracts.facts import Facts
from app.contracts.gate import Bench
from app.contracts.gates.data.sql import holds_several, names_of_others, switches_role
from app.contracts.gates.data.statements import check_statements
from app.contracts.syntax import HOLE, Source, Texts

OTHERS = ("catalog", "users", "kernel")
SUBMODULES = ("catalog.interface", "catalog.service", "catalog.models", "users.interface", "kernel.database")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM catalog.products",
        "select * from catalog.products",
        '  SELECT * FROM "catalog"."products"',
        "SELECT 1 FROM ordering.orders o JOIN catalog . products p ON p.id = o.id",
        "SELECT 1 FROM ordering.orders o, catalog.products p",
        "SELECT (SELECT name FROM catalog.products WHERE id = 1)",
        "WITH gone AS (DELETE FROM catalog.products RETURNING id) SELECT * FROM gone",
        "/* own */ UPDATE catalog.products SET price = 0",
        "-- own\nINSERT INTO catalog.products VALUES (1)",
        "COPY catalog.products TO STDOUT",
        "LOCK TABLE ONLY catalog.products",
        "SELECT nextval('catalog.products')",
        "SELECT 'catalog.products'::regclass",
        " JOIN catalog.products p ON p.id = l.product_id",
        "SELECT catalog.products(1)",
        "CREATE VIEW ordering.names AS SELECT name FROM catalog.products",
        "SELECT id FROM ordering.orders AS catalog WHERE EXISTS (SELECT FROM catalog.products)",
    ],
)
def test_sql_on_a_neighbours_table_is_seen(text: str) -> None:
    assert list(names_of_others(text, OTHERS, submodules=SUBMODULES)) == ["catalog.products"]


@pytest.mark.parametrize(
    "text",
    [
        "catalog.ProductArchived",
        "catalog.count_units_sold",
        "catalog.products",
        "order:17",
        "Import from catalog.interface instead of catalog.models.",
        "Update catalog.products by hand.",
        "The price comes from catalog.products.",
        "select it in catalog.interface",
        "SELECT * FROM ordering.orders -- as catalog.products does",
        "SELECT id FROM kernel_things.catalogue",
        "SELECT name FROM ordering.events WHERE name = 'catalog.ProductArchived'",
        "SELECT catalog.id FROM ordering.folders AS catalog",
        "SELECT users.id FROM ordering.buyers users",
        "SELECT users.id FROM ordering.buyers AS users WHERE users.id = 1",
        "SELECT users.id FROM ordering.users",
        "https://example.com/from/catalog.html",
    ],
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert list(names_of_others(text, OTHERS, submodules=SUBMODULES)) == []


@pytest.mark.parametrize(
    "text",
    [
        "SET ROLE x",
        "set local role x",
        "  -- why\n SET SESSION AUTHORIZATION x",
        "SELECT set_config('role', 'x', true)",
        "(RESET ROLE",
        "SELECT 1; SET ROLE x",
        "DISCARD ALL",
        "DO $$ BEGIN EXECUTE 'SET ROLE x'; END $$",
    ],
)
def test_leaving_the_role_is_seen(text: str) -> None:
    assert switches_role(text)


@pytest.mark.parametrize(
    "text", ["Only the kernel may set role and rights.", "SELECT role FROM users.role_grants", "UPDATE users.x SET role = 'a'"]
)
def test_a_column_called_role_is_none(text: str) -> None:
    assert not switches_role(text)


def test_a_semicolon_counts_outside_of_quotes_only() -> None:
    assert holds_several("SELECT 1; SELECT 2")
    assert not holds_several("SELECT ';'")
    assert not holds_several("Select one; then go on.")


def texts_of(code: str, **more: str) -> list[str]:
    """What the strings of `ordering/crud.py` say, beside other files of the module."""
    sources = [
        Source(module="ordering", where=f"{name}.py", name=f"ordering.{name}", tree=ast.parse(text))
        for name, text in {"crud": code, **more}.items()
    ]
    return [said.text for said in Texts(sources).of(sources[0])]


@pytest.mark.parametrize(
    "code",
    [
        'q = "SELECT 1 " "FROM catalog.products"',
        'q = "SELECT 1 FROM " + "catalog.products"',
        'S = "catalog"\nq = f"SELECT 1 FROM {S}.products"',
        'q = "SELECT 1 FROM %s.products" % "catalog"',
        'q = "SELECT 1 FROM {}.products".format("catalog")',
        'q = "SELECT 1 FROM {s}.products".format(s="catalog")',
        'q = " ".join(["SELECT 1", "FROM catalog.products"])',
        'def f():\n    s = "catalog"\n    return f"SELECT 1 FROM {s}.products"',
        'from ordering.settings import S as where\nq = f"SELECT 1 FROM {where}.products"',
        'from . import settings\nq = f"SELECT 1 FROM {settings.S}.products"',
    ],
)
def test_a_text_is_read_as_it_is_put_together(code: str) -> None:
    assert "SELECT 1 FROM catalog.products" in texts_of(code, settings='S = "catalog"')


def test_what_shows_only_at_run_time_is_a_hole_and_a_docstring_no_text() -> None:
    assert texts_of('def f(s):\n    "FROM catalog.products"\n    return f"SELECT 1 FROM {s}.products"') == [
        f"SELECT 1 FROM {HOLE}.products"
    ]


def found_in(root: Path, file: str, code: str) -> list[str]:
    """The rules that a module `ordering` of one file breaks."""
    path = root / "modules/ordering" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    (root / "platform/kernel").mkdir(parents=True, exist_ok=True)
    (root / "modules/catalog").mkdir(parents=True, exist_ok=True)
    bench = Bench(root=root)
    bench.__dict__["facts"] = {name: Facts(name=name) for name in ("catalog", "ordering")}
    return [finding.rule.removeprefix("data/") for finding in check_statements(bench)]


@pytest.mark.parametrize(
    ("file", "code", "rules"),
    [
        ("crud.py", 'from sqlalchemy import table as t\nt("products", schema="catalog")', ["foreign-sql"]),
        ("crud.py", 'import sqlalchemy as sa\nsa.Table("products", sa.MetaData(schema="catalog"))', ["foreign-sql"]),
        ("crud.py", 'from sqlalchemy import text\ntext("catalog.products")', ["foreign-sql"]),
        ("crud.py", "from sqlalchemy import func\nfunc.kernel.require_principal(1, 1)", ["foreign-sql"]),
        ("crud.py", 'def f(c, s):\n    c.execute(f"SELECT 1 FROM {s}.products")', ["foreign-sql"]),
        ("crud.py", 'A = "SELECT 1 FROM catalog.products"\nB = f"{A} LIMIT 1"', ["foreign-sql"]),
        (
            "crud.py",
            'def f():\n    q = "SELECT 1 FROM "\n    if f:\n        q += "catalog.products"\n    return q',
            ["foreign-sql"],
        ),
        ("crud.py", 'def f():\n    q = "SELECT 1 "\n    q += "FROM catalog.products"\n    return q', ["foreign-sql"]),
        ("crud.py", 'def f():\n    q = "The price is in "\n    q += "catalog.products"\n    return q', []),
        ("models.py", 'ForeignKey("catalog.products.id")', ["foreign-key"]),
        ("models.py", 'DDL("CREATE VIEW ordering.v AS SELECT 1 FROM catalog.products")', ["view"]),
        ("migrations/a.py", 'op.execute("ALTER TABLE ordering.a ADD b bigint REFERENCES catalog.products")', ["foreign-key"]),
        (
            "migrations/a.py",
            'op.create_foreign_key("k", "a", "products", ["b"], ["id"], referent_schema="catalog")',
            ["foreign-key"],
        ),
        ("migrations/a.py", 'op.add_column("products", c, schema="catalog")', ["view"]),
        ("migrations/a.py", 'op.execute("RESET ROLE")', ["role-switch"]),
        ("crud.py", "from sqlalchemy import create_engine", ["role-switch"]),
        ("crud.py", 'import sqlalchemy as sa\ne = sa.create_engine("")', ["role-switch"]),
        ("crud.py", "from kernel.database.engines import Engines", ["role-switch"]),
        (
            "crud.py",
            "from sqlalchemy.orm import Session\ndef f(session: Session):\n    session.connection().engine.connect()",
            ["role-switch"],
        ),
        ("service.py", "from sqlalchemy import select", ["sql-outside-crud"]),
        ("service/a.py", "def f(self):\n    with self._database.read() as c:\n        c.execute(1)", ["sql-outside-crud"]),
        ("router.py", "def f(x):\n    x.exec_driver_sql('SELECT 1')", ["sql-outside-crud"]),
        # What is allowed.
        ("service.py", "from sqlalchemy.exc import IntegrityError\nfrom sqlalchemy.orm import Session", []),
        ("service.py", "def f(self, crud):\n    with self._database.read() as c:\n        crud.read(c)", []),
        ("service.py", "import sqlite3\ndef f(books):\n    books.execute('BEGIN; SELECT 1')", []),
        ("crud.py", 'from sqlalchemy import table\ntable("orders", schema="ordering")', []),
        ("models.py", 'ForeignKey("ordering.orders.id")', []),
        ("listeners.py", 'DatabaseListener(name="catalog.count", event=x)', []),
        ("migrations/a.py", 'op.execute("CREATE FUNCTION ordering.f() RETURNS int AS $$ BEGIN; END $$")', []),
    ],
)
def test_each_rule_sees_what_breaks_it_and_nothing_else(tmp_path: Path, file: str, code: str, rules: list[str]) -> None:
    assert found_in(tmp_path, file, code) == rules
