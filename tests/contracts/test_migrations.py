"""The gate `migrations`: what it lets pass, and the small functions that it stands on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from tests.contracts._migrations_live import ALLOWED, LIVE
from tests.contracts._revisions import Planted, chain, sql
from tests.contracts.planted_migrations import PLANTINGS
from tests.database_fixtures import Clone
from tests.migration_fixtures import Alembic, Installed, Step
from tests.planting import ROOT, Planting, Said, contracts, copy_project

from app.contracts.gate import Bench
from app.contracts.gates.migrations.neighbours import foreign
from app.contracts.gates.migrations.revisions import in_order, read_revisions
from app.contracts.gates.migrations.rows import ROWS, checksums, fill
from app.contracts.gates.migrations.script import write
from app.shape import Change, Thing, changes

Install = Callable[..., Installed]

GOOD = chain(
    "catalog",
    Planted(
        module="catalog",
        revision="good_tables",
        upgrade="""
        op.create_table("users", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True), schema="catalog")
        op.create_index("ix_users_id", "users", ["id"], schema="catalog")
        op.execute("INSERT INTO catalog.users SELECT users.id FROM catalog.products AS users")
        op.execute("COMMENT ON TABLE catalog.users IS 'Not the users. They are next door.'")
        """,
        downgrade="""op.drop_table("users", schema="catalog")""",
    ),
    Planted(
        module="catalog",
        revision="good_words",
        upgrade=sql(
            "ALTER TABLE catalog.products DROP CONSTRAINT ck_products_status",
            "ALTER TABLE catalog.products ADD CONSTRAINT ck_products_status CHECK (status <> '') NOT VALID",
        ),
        downgrade='"""Leaves the wider check, because new words may be there."""',
    ),
    Planted(
        module="catalog",
        revision="good_contraction",
        upgrade="""
        # squawk-ignore ban-drop-column: no code reads it since reservations came
        op.drop_column("stock", "available", schema="catalog")
        """,
        downgrade="""
        if context.is_offline_mode():
            op.execute("-- in a script, too")
        op.execute("ALTER TABLE catalog.stock ADD available bool GENERATED ALWAYS AS (quantity > 0) STORED")
        """,
    ),
    Planted(module="catalog", revision="good_nothing", upgrade="pass", downgrade="pass"),
)


def test_what_is_written_as_it_should_be_passes(tmp_path: Path) -> None:
    house = copy_project(tmp_path / "house")
    for planted in GOOD:
        planted.write.make(house)

    said = contracts(house, "check", "--gate", "migrations", "--format", "json", "--static")

    assert (said.code, said.findings) == (0, []), said.output


def test_what_lets_everybody_work_passes_on_databases(said: Callable[[Planting, Sequence[Planting]], Said]) -> None:
    heard = said(LIVE[0], PLANTINGS)

    files = [planted.file for planted in ALLOWED]
    assert heard.findings
    assert [finding for finding in heard.findings if finding["where"] in files] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ALTER TABLE users.accounts ADD x int", ["users.accounts"]),
        ('SELECT * FROM "users"."accounts"', ["users.accounts"]),
        ("SELECT to_regclass('users.accounts')", ["users.accounts"]),
        ("DROP SCHEMA users", []),
        ("SELECT users.id FROM catalog.products AS users", []),
        ("SELECT catalog.users.id, my_users.id, p.users.id FROM catalog.users", []),
        ("COMMENT ON TABLE catalog.x IS 'Ask the users. They know.'", []),
        ("f(users.*)", ["users.*"]),
    ],
)
def test_a_neighbours_things_are_told_from_words(text: str, named: list[str]) -> None:
    assert [thing for _, thing in foreign(text, {"users", "ordering"})] == named


def test_every_branch_is_read_in_order() -> None:
    for branch, revisions in read_revisions(Bench(root=ROOT)).items():
        line = in_order(revisions)
        assert (line[0].labels, len(line)) == ((branch,), len(revisions))


def test_a_script_knows_where_each_statement_comes_from(tmp_path: Path) -> None:
    planted = Planted(
        module="users",
        revision="lines",
        upgrade="""
        for name in ("a", "b"):
            op.add_column(
                "accounts", sa.Column(name, sa.Text()), schema="users"
            )
        with op.get_context().autocommit_block():
            op.execute("VACUUM users.accounts")
        """,
    )
    house = tmp_path / "house"
    (house / "modules/users").mkdir(parents=True)
    (house / "modules/users/__init__.py").touch()
    planted.write.make(house)
    [revision] = read_revisions(Bench(root=house))["users"]

    written = [(statement.sql, statement.line) for statement in write(revision, "upgrade")]

    adding = int(planted.at("add_column").rpartition(":")[2])
    assert written[1:3] == [(f"ALTER TABLE users.accounts ADD COLUMN {name} TEXT;", adding) for name in "ab"]
    assert ("VACUUM users.accounts;", int(planted.at("VACUUM").rpartition(":")[2])) in written
    assert [text for text, _ in written if text in ("BEGIN;", "COMMIT;")] == ["BEGIN;", "COMMIT;", "BEGIN;", "COMMIT;"]


def test_of_a_table_that_is_missing_its_columns_are_not_told() -> None:
    table, column = Thing("table", "a.t", "", "r"), Thing("column", "a.t", "id", "bigint")
    other = Thing("column", "a.u", "id", "bigint")

    assert changes(frozenset({table, column, other}), frozenset({other._replace(definition="integer")})) == [
        Change(kind="column", place="a.u", name="id", before="bigint", after="integer"),
        Change(kind="table", place="a.t", name="", before="r", after=None),
    ]


def test_rows_are_made_as_keys_and_checks_want_them(alembic: Alembic, empty_database: Clone, install_module: Install) -> None:
    module = install_module(
        Step(
            upgrade='''
            op.execute("""
                CREATE TABLE {name}.parents (
                    kind text CHECK (kind IN ('big', 'small')), number int, seen timestamptz, gone boolean,
                    CHECK (gone IS NULL OR seen IS NULL), PRIMARY KEY (kind, number));
                CREATE TABLE {name}.children (
                    id uuid PRIMARY KEY, kind text, number int, data jsonb NOT NULL, mark bytea NOT NULL,
                    FOREIGN KEY (kind, number) REFERENCES {name}.parents)
                """)
            ''',
            downgrade="""op.execute("DROP TABLE {name}.children, {name}.parents")""",
        )
    )
    alembic.run("upgrade", f"{module.name}@head")
    with create_engine(empty_database.superuser, poolclass=NullPool).begin() as connection:
        fill(connection, [module.name])
        once = checksums(connection, [module.name])
        fill(connection, [module.name])
        assert checksums(connection, [module.name]) == once
    assert sorted(once) == [f"{module.name}.children", f"{module.name}.parents"]
    assert alembic.sql(
        f"SELECT count(*), count(DISTINCT kind) FROM {module.name}.children JOIN {module.name}.parents USING (kind, number)"
    ) == [(ROWS, 2)]
