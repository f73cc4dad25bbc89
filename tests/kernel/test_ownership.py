"""The ownership wall: which statements pass, and as whom they run. What is refused, the gate `data` tries form by form."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from kernel.database.call import authenticated, run_call
from kernel.database.engines import Engines
from kernel.database.errors import sqlstate
from kernel.database.principals import Principals
from kernel.database.unit_of_work import Database
from kernel.pure.principal import Principal


@pytest.fixture
def ordering(engines: Engines) -> Database:
    return engines.database("ordering")


class TestForeignTables:
    def test_a_neighbours_table_answers_insufficient_privilege_outside_of_a_transaction_too(self, ordering: Database) -> None:
        with pytest.raises(DBAPIError) as error, ordering.read() as connection:
            connection.execute(text("SELECT * FROM catalog.products"))
        assert sqlstate(error.value) == "42501"

    def test_the_role_leaves_nothing_behind_on_the_connection(self, engines: Engines, ordering: Database) -> None:
        who = text("SELECT current_user")
        with ordering.read() as connection:
            assert connection.execute(who).scalar_one().endswith("_ordering")
            dbapi = connection.connection.dbapi_connection
            assert dbapi is not None
        with engines.reader.connect() as plain:
            assert plain.execute(who).scalar_one() == "emporium_app"

    def test_the_login_itself_can_read_no_table(self, engines: Engines) -> None:
        with engines.reader.connect() as plain, pytest.raises(DBAPIError) as error:
            plain.execute(text("SELECT * FROM catalog.products"))
        assert sqlstate(error.value) == "42501"


class TestGuard:
    @pytest.mark.parametrize(
        "statement", ["select 1", "  \n SELECT 1", "(SELECT 1)", "VALUES (1)", "WITH a AS (SELECT 1) TABLE a"]
    )
    def test_reading_rows_passes_however_it_is_written(self, ordering: Database, statement: str) -> None:
        with ordering.read() as connection:
            assert connection.exec_driver_sql(statement).all() == [(1,)]

    def test_a_semicolon_in_a_value_passes(self, ordering: Database) -> None:
        with ordering.read() as connection:
            assert connection.execute(text("SELECT CAST(:v AS text)"), {"v": "a; RESET ROLE"}).scalar_one() == "a; RESET ROLE"

    def test_savepoints_of_the_kernel_pass(self, ordering: Database) -> None:
        with ordering.transaction() as session:
            with ordering.attempt():
                session.execute(text("SELECT 1"))
            assert session.execute(text("SELECT current_user")).scalar_one().endswith("_ordering")


class TestOtherWaysToSpeak:
    """Cursors that a module can reach through SQLAlchemy's connection."""

    def test_executemany_runs_as_the_module(self, ordering: Database) -> None:
        with pytest.raises(DBAPIError) as error, ordering.transaction() as session:
            session.connection().exec_driver_sql("INSERT INTO catalog.stock VALUES (%s, %s)", [(1, 1), (2, 2)])
        assert sqlstate(error.value) == "42501"

    def test_a_named_cursor_runs_as_the_module(self, ordering: Database) -> None:
        with pytest.raises(DBAPIError) as error, ordering.transaction() as session:
            session.connection().execution_options(stream_results=True).execute(text("SELECT * FROM catalog.products"))
        assert sqlstate(error.value) == "42501"

    def test_copy_runs_as_the_module(self, ordering: Database) -> None:
        with pytest.raises(Exception, match="permission denied"), ordering.transaction() as session:
            cursor = session.connection().connection.cursor()
            cursor.copy_expert("COPY catalog.products TO STDOUT", io.StringIO())

    def test_callproc_runs_as_the_module(self, ordering: Database) -> None:
        with ordering.transaction() as session:
            cursor = session.connection().connection.cursor()
            cursor.callproc("current_schemas", [False])
            cursor.execute("SELECT current_user")
            row = cursor.fetchone()
        assert row is not None
        assert row[0].endswith("_ordering")


class TestPrincipalCheck:
    @pytest.fixture
    def principal(self, engines: Engines) -> Principal:
        epoch = Principals(engines.database("kernel")).open(user_id=1)
        return Principal(user_id=1, roles=frozenset(), epoch=epoch)

    def read(self, ordering: Database) -> int:
        with ordering.read() as connection:
            return int(connection.execute(text("SELECT count(*) FROM ordering.orders")).scalar_one())

    def test_a_current_epoch_passes(self, ordering: Database, principal: Principal) -> None:
        with authenticated(principal):
            assert run_call(lambda: self.read(ordering)) == 0

    def test_a_raised_epoch_refuses_the_first_statement(
        self, engines: Engines, ordering: Database, principal: Principal
    ) -> None:
        Principals(engines.database("kernel")).raise_epoch(user_id=1)
        with authenticated(principal), pytest.raises(DBAPIError) as error:
            run_call(lambda: self.read(ordering))
        assert sqlstate(error.value) == "28000"

    def test_a_closed_account_is_refused_in_a_transaction_too(
        self, engines: Engines, ordering: Database, principal: Principal
    ) -> None:
        Principals(engines.database("kernel")).close(user_id=1)
        with authenticated(principal), pytest.raises(DBAPIError) as error, ordering.transaction() as session:
            session.execute(text("SELECT 1"))
        assert sqlstate(error.value) == "28000"


def test_without_the_wall_everything_works_as_the_login(superuser_url: URL) -> None:
    engines = Engines(superuser_url, threads=1, roles=None)
    try:
        with engines.database("ordering").transaction() as session:
            assert session.execute(text("SELECT current_user")).scalar_one() == "postgres"
    finally:
        engines.close()
