"""What the tests of users may ask for, besides databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from tests.users.users_app import UsersApp, open_users

from kernel.database.engines import Engines

Look = Callable[..., list[Any]]


@pytest.fixture
def users(engines: Engines) -> Iterator[UsersApp]:
    """The users module on a real database, with a clock that stands still."""
    with open_users(engines) as app:
        yield app


@pytest.fixture
def look(superuser_url: URL) -> Iterator[Look]:
    """`look("SELECT …", name=value)`: rows of any table, past the wall; also changes what no one else may."""
    engine = create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def rows(sql: str, **values: Any) -> list[Any]:
        with engine.connect() as connection:
            result = connection.execute(text(sql), values)
            return list(result) if result.returns_rows else []

    yield rows
    engine.dispose()
