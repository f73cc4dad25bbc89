"""`--sql`: what the scripts do when psql runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.database_fixtures import Clone
from tests.migration_fixtures import Alembic, Installed, Step, finish, psql, start

Install = Callable[..., Installed]


def _script(alembic: Alembic, target: str) -> str:
    alembic.run("upgrade", target, sql=True)
    return alembic.printed.getvalue()


def test_the_script_makes_what_alembic_makes(alembic: Alembic, install_module: Install) -> None:
    step = Step(
        upgrade="""
        op.create_table("things", sa.Column("id", sa.BigInteger(), primary_key=True), schema="{name}")
        with op.get_context().autocommit_block():
            op.create_index("ix_things", "things", ["id"], schema="{name}", postgresql_concurrently=True)
        """
    )
    module = install_module(step)
    done = psql(alembic.target, _script(alembic, "heads"))
    # Steps that can be repeated drop first what a broken run may have left; psql notes that there is nothing.
    told = [line for line in done.stderr.splitlines() if not line.startswith("NOTICE:")]
    assert (done.returncode, told) == (0, []), done.stderr
    assert alembic.reached() == alembic.heads()
    owners = "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = '{}'::regnamespace"
    assert alembic.sql(owners.format(module.name)) == [(alembic.target.names.owner(module.name),)]
    alembic.run("upgrade", "heads")
    alembic.run("downgrade", f"{module.name}@base")


def test_the_script_for_the_next_revisions_runs_where_roles_and_schemas_are(alembic: Alembic, install_module: Install) -> None:
    alembic.run("upgrade", "heads")
    module = install_module(Step(upgrade="""op.execute("CREATE TABLE {name}.a AS SELECT current_user::text AS who")"""))
    done = psql(alembic.target, _script(alembic, f"kernel@head:{module.name}@head"))
    assert done.returncode == 0, done.stderr
    assert alembic.sql(f"SELECT who FROM {module.name}.a") == [(alembic.target.names.owner(module.name),)]
    assert alembic.reached() == alembic.heads()


def test_a_script_without_roles_serves_a_plain_login(plain_login: Alembic) -> None:
    plain_login.target = replace(plain_login.target, use_roles=False)
    script = _script(plain_login, "heads")
    assert "ROLE" not in script
    done = psql(plain_login.target, script)
    assert done.returncode == 0, done.stderr
    assert plain_login.reached() == plain_login.heads()


def test_plain_alembic_writes_the_script_without_a_database() -> None:
    arguments = ("upgrade", "kernel@head", "--sql")
    (code, script, err), (other, without, _) = map(
        finish, [start({}, "alembic", *arguments), start({}, "alembic", "-x", "roles=off", *arguments)]
    )
    assert (code, other) == (0, 0), err
    assert 'SET ROLE "emporium_kernel_owner"' in script
    assert script.index("CREATE SCHEMA") < script.index("SET ROLE") < script.index("CREATE TABLE kernel.outbox")
    assert "SET ROLE" not in without


def test_the_downgrade_script_undoes_the_upgrade(fresh_database: Clone) -> None:
    alembic = Alembic(fresh_database.target)
    alembic.run("downgrade", "catalog@head:catalog@base", sql=True)
    done = psql(alembic.target, alembic.printed.getvalue())
    assert done.returncode == 0, done.stderr
    assert alembic.sql("SELECT 1 FROM pg_class WHERE relnamespace = 'catalog'::regnamespace") == []
