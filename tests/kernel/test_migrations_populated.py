"""Migrations on tables with rows: every revision of every branch goes up, down and up again, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import NullPool, create_engine
from tests.database_fixtures import Clone
from tests.kernel.populated import ROWS, fill, rehearse
from tests.migration_fixtures import Alembic, Installed, Step

Install = Callable[..., Installed]


def sql(upgrade: str, downgrade: str) -> Step:
    return Step(upgrade=f"op.execute({upgrade!r})", downgrade=f"op.execute({downgrade!r})")


THINGS = sql("CREATE TABLE {name}.things (id bigint PRIMARY KEY, word text, number int)", "DROP TABLE {name}.things")


def test_every_revision_goes_up_down_and_up_again_on_populated_tables(alembic: Alembic) -> None:
    rehearsal = rehearse(alembic, alembic.branches())
    assert rehearsal.complaints == []
    assert list(rehearsal.tried) == [revision for branch in alembic.branches() for revision in alembic.revisions(branch)]
    # All that the other branches have is populated, too.
    assert min(rehearsal.tried.values()) >= 7


class TestTheRehearsalItself:
    """It is worth something only when it sees what is wrong."""

    def complaints(self, alembic: Alembic, install: Install, *steps: Step) -> list[str]:
        module = install(THINGS, *steps)
        found = rehearse(alembic, [module.name]).complaints
        return [complaint.replace(module.name, "shop") for complaint in found]

    def test_what_keeps_the_old_code_waiting_is_named(self, alembic: Alembic, install_module: Install) -> None:
        found = self.complaints(
            alembic,
            install_module,
            sql("CREATE INDEX ix_slow ON {name}.things (word)", "DROP INDEX {name}.ix_slow"),
            sql("ALTER TABLE {name}.things ALTER number TYPE bigint", "ALTER TABLE {name}.things ALTER number TYPE integer"),
            sql(
                "ALTER TABLE {name}.things ADD CONSTRAINT positive CHECK (number > 0)",
                "ALTER TABLE {name}.things DROP CONSTRAINT positive",
            ),
        )
        assert [complaint.partition(" while ")[0] for complaint in found] == [
            "shop shop1: holds ShareLock on shop.things",
            "shop shop2: holds AccessExclusiveLock, ShareLock on shop.things",
            "shop shop3: holds AccessExclusiveLock on shop.things",
        ]

    def test_what_lets_it_work_is_not(self, alembic: Alembic, install_module: Install) -> None:
        concurrently = """
        with op.get_context().autocommit_block():
            op.create_index("ix_fast", "things", ["word"], schema="{name}", postgresql_concurrently=True)
        """
        found = self.complaints(
            alembic,
            install_module,
            Step(upgrade=concurrently, downgrade="""op.drop_index("ix_fast", schema="{name}")"""),
            sql("ALTER TABLE {name}.things ADD weight int DEFAULT 1", "ALTER TABLE {name}.things DROP weight"),
            sql(
                "ALTER TABLE {name}.things ADD CONSTRAINT positive CHECK (number > 0) NOT VALID",
                "ALTER TABLE {name}.things DROP CONSTRAINT positive",
            ),
            sql("ALTER TABLE {name}.things VALIDATE CONSTRAINT positive", "SELECT 1"),
        )
        # The last one cannot be taken back, and need not be.
        assert [complaint for complaint in found if " positive " not in complaint] == []

    def test_a_downgrade_that_leaves_or_loses_something_is_named(self, alembic: Alembic, install_module: Install) -> None:
        found = self.complaints(
            alembic,
            install_module,
            sql("CREATE INDEX IF NOT EXISTS ix_left ON {name}.things (id)", "SELECT 1"),
            sql("SELECT 1", "DELETE FROM {name}.things WHERE number = 1"),
            sql("SELECT 1", "ALTER TABLE {name}.things DROP word"),
        )
        assert "shop shop1: its downgrade leaves 'CREATE INDEX ix_left ON shop.things USING btree (id) (t)'." in found
        assert "shop shop2: the rows of shop.things are not what they were before." in found
        assert "shop shop3: its downgrade does not give back 'shop.things.word text   '." in found

    def test_rows_are_made_as_keys_and_checks_want_them(
        self, alembic: Alembic, empty_database: Clone, install_module: Install
    ) -> None:
        module = install_module(
            sql(
                """
                CREATE TABLE {name}.parents (
                    kind text CHECK (kind IN ('big', 'small')), number int, seen timestamptz, gone boolean,
                    CHECK (gone IS NULL OR seen IS NULL), PRIMARY KEY (kind, number));
                CREATE TABLE {name}.children (
                    id uuid PRIMARY KEY, kind text, number int, data jsonb NOT NULL, mark bytea NOT NULL,
                    FOREIGN KEY (kind, number) REFERENCES {name}.parents)
                """,
                "DROP TABLE {name}.children, {name}.parents",
            )
        )
        alembic.run("upgrade", f"{module.name}@head")
        with create_engine(empty_database.superuser, poolclass=NullPool).begin() as connection:
            fill(connection, [module.name])
            fill(connection, [module.name])
        assert alembic.sql(
            f"SELECT count(*), count(DISTINCT kind) FROM {module.name}.children JOIN {module.name}.parents USING (kind, number)"
        ) == [(ROWS, 2)]
