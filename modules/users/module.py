"""The description of users."""

from __future__ import annotations

from typing import Final

from kernel.module import Module
from users.cli import bootstrap, build_cli
from users.container import UsersContainer
from users.interface import UsersService
from users.models import Base
from users.settings import VARIABLES

TOUR: Final = (
    "TOKEN=$(curl -s -o /dev/null {url}/api/v1/users -H 'Content-Type: application/json'"
    """ -d '{"email": "ada@example.com", "password": "a-pound-of-tea"}';"""
    " curl -s {url}/api/v1/auth/token -d username=ada@example.com -d password=a-pound-of-tea"
    """ | sed 's/.*"access_token":"\\([^"]*\\).*/\\1/')"""
)
"""Registers a customer (once) and logs in; lines of other modules use the TOKEN."""

module = Module(
    name="users",
    owner="Users team",
    summary="Accounts, log-in and roles.",
    offers=UsersService,
    container=UsersContainer,
    metadata=Base.metadata,
    variables=VARIABLES,
    tour=TOUR,
    cli=build_cli,
    bootstrap=bootstrap,
)
