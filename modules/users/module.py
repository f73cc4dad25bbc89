"""The description of users."""

from __future__ import annotations

from kernel.module import Module
from users.cli import bootstrap, build_cli
from users.container import UsersContainer
from users.interface import UsersService
from users.models import Base
from users.settings import VARIABLES

module = Module(
    name="users",
    owner="Users team",
    summary="Accounts, log-in and roles.",
    offers=UsersService,
    container=UsersContainer,
    metadata=Base.metadata,
    variables=VARIABLES,
    cli=build_cli,
    bootstrap=bootstrap,
)
