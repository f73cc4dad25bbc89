"""The endpoints of users: parse, call one service method, answer."""

from __future__ import annotations

from typing import Final

from kernel.http.routes import Router
from users.router.accounts import add_accounts
from users.router.administration import add_administration
from users.router.attempts import Attempts
from users.router.gate import hashing_gate
from users.router.tokens import add_tokens
from users.service import DatabaseUsersService

PREFIX: Final = "/api/v1"


def build_router(service: DatabaseUsersService, attempts: Attempts) -> Router:
    router = Router(module="users", prefix=PREFIX)
    gate = hashing_gate()
    add_tokens(router, service, attempts, gate)
    add_accounts(router, service, attempts, gate)
    add_administration(router, service)
    return router


__all__ = ["Attempts", "build_router"]
