"""Roles: who owns what, who may do what, and what is left without them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from tests.database_fixtures import Clone, Databases
from tests.migration_fixtures import Alembic, psql
from typer.testing import Result

from kernel.database.engines import Engines
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, INVALID_AUTHORIZATION, sqlstate
from kernel.database.roles import RoleNames, Wall, detect

Emporium = Callable[..., Result]


def _refusal(database: Clone, *statements: str) -> str | None:
    """The SQLSTATE that the application's login gets for the last of these statements."""
    engine = create_engine(database.application, poolclass=NullPool)
    with engine.connect() as connection:
        *before, last = statements
        for statement in before:
            connection.exec_driver_sql(statement)
        try:
            connection.exec_driver_sql(last)
        except DBAPIError as error:
            return sqlstate(error)
    return None


def _as(database: Clone, module: str) -> str:
    return f'SET LOCAL ROLE "{database.roles.module(module)}"'


def _wall(alembic: Alembic, login: str | None = None) -> Wall:
    with create_engine(alembic.target.url, poolclass=NullPool).connect() as connection:
        return detect(connection, alembic.target.names, alembic.branches(), login=login)


def test_a_module_role_reads_its_own_tables_and_no_neighbours(database: Clone) -> None:
    assert _refusal(database, _as(database, "catalog"), "SELECT * FROM catalog.products") is None
    assert _refusal(database, _as(database, "catalog"), "SELECT * FROM ordering.orders") == INSUFFICIENT_PRIVILEGE
    assert _refusal(database, _as(database, "catalog"), "SELECT * FROM kernel.outbox") == INSUFFICIENT_PRIVILEGE
    assert _refusal(database, _as(database, "kernel"), "SELECT * FROM kernel.alembic_version") is None


def test_the_engines_meet_the_wall(engines: Engines) -> None:
    with engines.database("catalog").read() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT * FROM ordering.orders"))
    assert sqlstate(caught.value) == INSUFFICIENT_PRIVILEGE


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM catalog.products",
        "CREATE TABLE catalog.mine ()",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine ()",
        "SELECT set_config('role', 'none', true)",
        "DO $$ BEGIN NULL; END $$",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql RETURN 1",
        'SET ROLE "emporium_test_catalog_owner"',
        "UPDATE kernel.alembic_version SET version_num = 'x'",
    ],
)
def test_the_applications_login_can_do_nothing_by_itself(database: Clone, statement: str) -> None:
    assert _refusal(database, statement) == INSUFFICIENT_PRIVILEGE


@pytest.mark.parametrize("statement", ["TRUNCATE catalog.products", "DROP TABLE catalog.products", "CREATE TABLE catalog.x ()"])
def test_a_module_role_has_no_ddl(database: Clone, statement: str) -> None:
    assert _refusal(database, _as(database, "catalog"), statement) == INSUFFICIENT_PRIVILEGE


def test_the_applications_login_waits_for_seconds_only(database: Clone) -> None:
    with create_engine(database.application, poolclass=NullPool).connect() as connection:
        settings = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        ]
    assert settings == ["2s", "10s", "10s"]


def test_a_principal_is_let_in_with_the_current_epoch_only(database: Clone) -> None:
    check = "SELECT kernel.require_principal({}, {})"
    with create_engine(database.superuser, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("INSERT INTO kernel.principals VALUES (7, 2)")
    assert _refusal(database, _as(database, "kernel"), check.format(7, 2)) is None
    assert _refusal(database, _as(database, "kernel"), check.format(7, 1)) == INVALID_AUTHORIZATION
    assert _refusal(database, _as(database, "kernel"), check.format(8, 1)) == INVALID_AUTHORIZATION
    assert _refusal(database, _as(database, "catalog"), check.format(7, 2)) == INSUFFICIENT_PRIVILEGE


def test_a_plain_login_works_without_the_wall_and_says_so(plain_login: Alembic, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="emporium.migrations"):
        plain_login.run("upgrade", "heads")
    assert plain_login.reached() == plain_login.heads()
    [line] = [record.message for record in caplog.records if record.name == "emporium.migrations"]
    assert line.startswith("Without roles: ")
    login = plain_login.target.migrator
    assert plain_login.sql("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname IN ('outbox', 'products')") == [
        (login,)
    ]
    assert not _wall(plain_login).on
    engines = Engines(plain_login.target.url, threads=1, roles=None)
    with engines.database("catalog").read() as connection:
        assert connection.execute(text("SELECT count(*) FROM catalog.products")).scalar() == 0
    engines.close()
    plain_login.run("downgrade", "base")


def test_two_plain_logins_work_without_the_wall(plain_login: Alembic) -> None:
    plain_login.target = replace(plain_login.target, application="emporium_app")
    plain_login.run("upgrade", "heads")
    url = plain_login.target.url.set(username="emporium_app")
    plain_login.sql("INSERT INTO kernel.principals VALUES (1, 1)", url)
    assert plain_login.sql("SELECT count(*) FROM catalog.products, kernel.alembic_version", url) == [(0,)]


def test_the_administrators_script_builds_the_wall_around_what_is_there(plain_login: Alembic, emporium_db: Emporium) -> None:
    plain_login.run("upgrade", "heads")
    environment = {"DATABASE_URL": plain_login.target.url.render_as_string(hide_password=False)}
    script = emporium_db(environment, "roles", "--sql").output
    for _ in range(2):
        done = psql(plain_login.target, script, user="postgres")
        assert (done.returncode, done.stderr) == (0, "")
    names = plain_login.target.names
    assert plain_login.sql("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname = 'products'") == [
        (names.owner("catalog"),)
    ]
    assert _wall(plain_login).on
    # The login may not create roles, and goes on with those of the administrator.
    plain_login.run("downgrade", "base")
    plain_login.run("upgrade", "heads")
    plain_login.run("check")
    as_catalog = f'SET LOCAL ROLE "{names.module("catalog")}"'
    with create_engine(plain_login.target.url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(as_catalog)
        assert connection.exec_driver_sql("SELECT count(*) FROM catalog.products").scalar() == 0
        with pytest.raises(DBAPIError) as caught:
            connection.exec_driver_sql("SELECT * FROM ordering.orders")
    assert sqlstate(caught.value) == INSUFFICIENT_PRIVILEGE
    assert "The wall between the modules is on" in emporium_db(environment, "roles").output


def test_roles_that_are_there_in_part_are_refused_in_one_sentence(plain_login: Alembic, databases: Databases) -> None:
    databases.execute(f'CREATE ROLE "{plain_login.target.names.owner("kernel")}"')
    with pytest.raises(CommandError, match=r"do not exist and this login may not create them: have the administrator run"):
        plain_login.run("upgrade", "heads")


@pytest.mark.parametrize("rights", ["CREATEROLE", "SUPERUSER"])
def test_one_login_that_may_create_roles_has_the_wall_too(plain_login: Alembic, databases: Databases, rights: str) -> None:
    login = plain_login.target.migrator
    databases.execute(f"ALTER ROLE {login} {rights}")
    plain_login.run("upgrade", "heads")
    wall = _wall(plain_login)
    assert (wall.on, "but that login" in wall.reason) == (True, True)
    engines = Engines(plain_login.target.url, threads=1, roles=plain_login.target.names)
    with engines.database("catalog").read() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT * FROM ordering.orders"))
    engines.close()
    assert sqlstate(caught.value) == INSUFFICIENT_PRIVILEGE
    plain_login.run("downgrade", "base")


def test_an_application_login_that_does_not_exist_is_named(alembic: Alembic) -> None:
    alembic.target = replace(alembic.target, application="nobody_knows")
    with pytest.raises(CommandError, match='The login "nobody_knows" of DATABASE_URL does not exist on this server'):
        alembic.run("upgrade", "heads")


def test_the_application_is_told_why_the_wall_is_off(alembic: Alembic, databases: Databases) -> None:
    wall = _wall(alembic, "emporium_app")
    assert (wall.on, wall.reason.startswith("these roles do not exist: ")) == (False, True)
    alembic.run("upgrade", "heads")
    assert _wall(alembic, "emporium_app") == Wall(on=True, reason='each statement of "emporium_app" runs as its module\'s role')
    assert _wall(alembic, "postgres").reason.endswith("but that login is a superuser")
    databases.execute(f'REVOKE "{alembic.target.names.module("catalog")}" FROM emporium_app CASCADE')


def test_emporium_db_roles_shows_the_wall(database: Clone, emporium_db: Emporium) -> None:
    done = emporium_db(database.environment, "roles")
    assert done.exit_code == 0, done.output
    assert "emporium_test_catalog_owner" in done.output
    assert done.output.endswith('is on: each statement of "emporium_app" runs as its module\'s role.\n')


def test_emporium_db_roles_compares_the_rights_with_the_modules(fresh_database: Clone, emporium_db: Emporium) -> None:
    as_they_are = emporium_db(fresh_database.environment, "roles", "--check")
    assert (as_they_are.exit_code, as_they_are.output) == (
        0,
        "Owners, grants, default privileges and memberships are as the modules say.\n",
    )
    engine = create_engine(fresh_database.superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'GRANT SELECT ON users.accounts TO "{fresh_database.roles.module("ordering")}"')
    differing = emporium_db(fresh_database.environment, "roles", "--check")
    assert differing.exit_code == 1
    assert differing.output.startswith("users.accounts: On the table users.accounts, the role of ordering has SELECT. Fix: ")


def test_role_names_fit_into_63_bytes_and_stay_apart() -> None:
    names = RoleNames("p" * 40)
    made = [names.module("m" * 40), names.owner("m" * 40), names.module("m" * 41), names.module("m")]
    assert len(set(made)) == len(made)
    assert all(len(name) <= 63 for name in made)
    assert RoleNames("shop").owner("catalog") == "shop_catalog_owner"


@pytest.mark.parametrize("prefix", ['a"b', "a b", "50%", "a:b", ""])
def test_a_prefix_that_would_need_quoting_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_ROLE_PREFIX"):
        RoleNames(prefix)
