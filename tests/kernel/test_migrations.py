"""Migrations: branches, deployers, roles around revisions, failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine, text
from tests.database_fixtures import Clone
from tests.migration_fixtures import Alembic, Installed, Step, finish, start

Install = Callable[..., Installed]

TABLE = Step(
    upgrade="""
    op.create_table("things", sa.Column("id", sa.BigInteger(), primary_key=True), schema="{name}")
    op.execute("INSERT INTO {name}.things VALUES (1)")
    """,
    downgrade="""op.drop_table("things", schema="{name}")""",
)


def test_all_branches_go_up_down_and_up_again(alembic: Alembic) -> None:
    alembic.run("upgrade", "heads")
    assert alembic.reached() == alembic.heads()
    alembic.run("downgrade", "base")
    assert alembic.reached() == set()
    leftovers = alembic.sql(
        "SELECT nspname, relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE nspname !~ '^(pg_|information_schema)' AND relname !~ '^alembic_version'"
    )
    assert leftovers == []
    assert alembic.sql("SELECT proname FROM pg_proc WHERE pronamespace = 'kernel'::regnamespace") == []
    alembic.run("upgrade", "heads")
    assert alembic.reached() == alembic.heads()


def test_models_and_migrations_of_every_branch_agree(alembic: Alembic) -> None:
    alembic.run("upgrade", "heads")
    alembic.run("check")
    assert "No new upgrade operations detected" in alembic.printed.getvalue()


def test_the_kernel_goes_up_before_those_who_stand_on_it(alembic: Alembic, install_module: Install) -> None:
    seen = "SELECT relname::text FROM pg_class WHERE relname = 'principals'"
    module = install_module(Step(upgrade=f"""op.execute("CREATE TABLE {{name}}.seen AS {seen}")"""))
    alembic.run("upgrade", "heads")
    assert alembic.sql(f"SELECT * FROM {module.name}.seen") == [("principals",)]


def test_one_branch_moves_without_the_others(alembic: Alembic, install_module: Install) -> None:
    module = install_module(TABLE)
    alembic.run("upgrade", f"{module.name}@head")
    assert alembic.reached() == set(module.revisions)
    alembic.run("downgrade", f"{module.name}@-1")
    assert alembic.reached() == set()


def test_a_revision_runs_as_the_owner_of_its_branch_with_a_short_lock_timeout(
    alembic: Alembic, install_module: Install
) -> None:
    told = "SELECT current_user::text AS who, session_user::text AS login, current_setting('lock_timeout') AS waits"
    module = install_module(Step(upgrade=f"""op.execute("CREATE TABLE {{name}}.told AS {told}")"""))
    alembic.run("upgrade", f"{module.name}@head")
    owner = alembic.target.names.owner(module.name)
    assert alembic.sql(f"SELECT * FROM {module.name}.told") == [(owner, "emporium_migrator", "5s")]
    assert alembic.sql(
        "SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('told', 'alembic_version') ORDER BY 1"
    ) == [("alembic_version", "emporium_migrator"), ("told", owner)]


def test_a_revision_cannot_touch_another_modules_schema(alembic: Alembic, install_module: Install) -> None:
    alembic.run("upgrade", "kernel@head")
    trespasser = install_module(Step(upgrade="""op.execute("ALTER TABLE kernel.outbox ADD COLUMN mine text")"""))
    with pytest.raises(CommandError, match=r"upgrade of extra\w+ extra\w+ failed: permission denied for schema kernel"):
        alembic.run("upgrade", f"{trespasser.name}@head")


def test_a_failing_revision_leaves_version_and_schema_as_before(alembic: Alembic, install_module: Install) -> None:
    module = install_module(
        TABLE,
        Step(upgrade="""op.add_column("things", sa.Column("extra", sa.Text()), schema="{name}"); op.execute("SELECT 1/0")"""),
    )
    with pytest.raises(CommandError, match="failed: division by zero"):
        alembic.run("upgrade", f"{module.name}@head")
    assert alembic.reached() == {module.revisions[0]}
    assert alembic.sql(f"SELECT * FROM {module.name}.things") == [(1,)]


def test_after_a_revision_that_fails_outside_a_transaction_the_next_one_runs(alembic: Alembic, install_module: Install) -> None:
    broken = install_module(
        Step(
            upgrade="""
            with op.get_context().autocommit_block():
                op.execute("SELECT 1/0")
            """
        )
    )
    with pytest.raises(CommandError, match="division by zero"):
        alembic.run("upgrade", f"{broken.name}@head")
    alembic.run("upgrade", "kernel@head")
    assert alembic.reached() & alembic.heads()


def test_a_concurrent_index_is_built_while_another_deployer_waits(empty_database: Clone, install_module: Install) -> None:
    module = install_module(
        TABLE,
        Step(
            upgrade="""
            op.execute("SELECT pg_sleep(2)")
            with op.get_context().autocommit_block():
                op.create_index("ix_things", "things", ["id"], schema="{name}", postgresql_concurrently=True)
            op.execute("CREATE TABLE {name}.after AS SELECT current_user::text AS who")
            """
        ),
    )
    deployers = [start(empty_database.environment, "alembic", "upgrade", "heads", site=module.path) for _ in range(2)]
    results = [finish(deployer) for deployer in deployers]
    assert [code for code, _, _ in results] == [0, 0], results
    assert sorted("Running upgrade" in err for _, _, err in results) == [False, True], results
    alembic = Alembic(empty_database.target)
    assert alembic.sql(f"SELECT who FROM {module.name}.after") == [(empty_database.roles.owner(module.name),)]
    assert alembic.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('" + module.name + ".ix_things')") == [
        (True,)
    ]


def test_a_deployer_who_waits_too_long_says_so(alembic: Alembic) -> None:
    alembic.target = replace(alembic.target, lock_wait=0.5)
    with create_engine(alembic.target.url, poolclass=NullPool).connect() as other:
        other.execute(text(f"SELECT pg_advisory_lock({int.from_bytes(b'emporium', 'big')})"))
        with pytest.raises(CommandError, match=r"Another deployer is migrating this database \(waited 0.5 s\)"):
            alembic.run("upgrade", "heads")


def test_a_database_at_an_unknown_revision_is_refused_in_one_sentence(alembic: Alembic) -> None:
    alembic.run("upgrade", "kernel@head")
    alembic.sql("INSERT INTO kernel.alembic_version VALUES ('from_tomorrow')")
    with pytest.raises(CommandError, match="at revision from_tomorrow, which this code does not have"):
        alembic.run("upgrade", "heads")


def test_a_step_without_a_branch_is_refused(alembic: Alembic) -> None:
    alembic.run("upgrade", "kernel@head")
    with pytest.raises(CommandError, match="`-1` does not say which branch: type one of kernel@-1"):
        alembic.run("downgrade", "-1")
    assert alembic.reached() & alembic.heads()


def test_looking_changes_nothing(alembic: Alembic) -> None:
    alembic.run("current")
    assert alembic.sql("SELECT to_regnamespace('kernel')::text") == [(None,)]


def test_plain_alembic_migrates_the_configured_database_with_installed_branches(
    empty_database: Clone, install_module: Install
) -> None:
    module = install_module(TABLE)
    code, _, err = finish(start(empty_database.environment, "alembic", "upgrade", f"{module.name}@head", site=module.path))
    assert (code, "Running upgrade  -> extra" in err) == (0, True), err
    code, out, err = finish(start(empty_database.environment, "alembic", "current", site=module.path))
    assert (code, out) == (0, f"{module.revisions[0]} (head)\n"), err


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    environment = {"DATABASE_URL": "postgresql://shop:hush@localhost:1/shop"}
    code, out, err = finish(start(environment, "alembic", "upgrade", "heads"))
    assert code != 0
    assert "Cannot connect to postgresql+psycopg2://shop:***@localhost:1/shop" in out + err
    assert "hush" not in out + err
    assert "Traceback" not in err
