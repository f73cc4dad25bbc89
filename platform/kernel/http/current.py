"""The running request: its id and its caller, readable wherever the call has got to (event loop or hop)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from starlette.types import Scope

from kernel.pure.principal import Principal

REQUEST_ID: Final = "emporium.request_id"
PRINCIPAL: Final = "emporium.principal"

_scope: ContextVar[Scope | None] = ContextVar("emporium_request", default=None)


def enter(scope: Scope, principal: Principal | None) -> None:
    """Begin the handling of a request. Each request has its own copy of the context, so nothing is reset."""
    scope[PRINCIPAL] = principal
    _scope.set(scope)


def scope_of_request() -> Scope:
    scope = _scope.get()
    if scope is None:
        raise RuntimeError("There is no running request.")
    return scope


def principal() -> Principal | None:
    """Who calls, when the route asks for it (`allow=SIGNED_IN` or a role, or an `OptionalCaller` parameter)."""
    scope = _scope.get()
    return None if scope is None else scope.get(PRINCIPAL)


def request_id() -> str | None:
    scope = _scope.get()
    return None if scope is None else scope.get(REQUEST_ID)
