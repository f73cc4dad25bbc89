"""Who may call a route: every route declares it with `allow=`, and sees the caller as an annotated parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from starlette.types import Scope

from kernel.http.tokens import AccessTokens, InvalidToken
from kernel.pure.errors import Forbidden, Unauthenticated
from kernel.pure.principal import Principal

TOKEN_URL: Final = "/api/v1/auth/token"  # noqa: S105 -- an address
SCHEME: Final = "OAuth2"
SECURITY_SCHEME: Final[dict[str, Any]] = {
    "type": "oauth2",
    "description": "Log in with e-mail address and password.",
    "flows": {"password": {"tokenUrl": TOKEN_URL, "scopes": {}}},
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call. With several roles, one of them is enough."""

    signed_in: bool
    roles: frozenset[str] = frozenset()

    def admit(self, principal: Principal | None) -> None:
        """Errors: Unauthenticated, Forbidden."""
        if principal is None:
            if self.signed_in:
                raise Unauthenticated("Log in first: this needs an access token.")
            return
        if self.roles and self.roles.isdisjoint(principal.roles):
            raise Forbidden("Your account does not have the role that this needs.", roles=sorted(self.roles))


ANYONE: Final = Access(signed_in=False)
SIGNED_IN: Final = Access(signed_in=True)


def role(name: str) -> Access:
    return Access(signed_in=True, roles=frozenset({name}))


def any_role(*names: str) -> Access:
    return Access(signed_in=True, roles=frozenset(names))


@dataclass(frozen=True, slots=True)
class CallerParameter:
    """Marks an endpoint's parameter that the route fills with the caller, beside the framework's own injection."""

    optional: bool


Caller = Annotated[Principal, CallerParameter(optional=False)]
"""`caller: Caller` on a route that asks for a signed-in caller."""
OptionalCaller = Annotated[Principal | None, CallerParameter(optional=True)]
"""On a route for ANYONE: None without a token. A token that is given has to be valid all the same."""


def authenticate(scope: Scope, tokens: AccessTokens) -> Principal | None:
    """The principal of the request's bearer token; None without one. Errors: InvalidToken."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            if kind.lower() != "bearer" or not token:
                raise InvalidToken("The Authorization header has to say: Bearer <access token>.")
            return tokens.verify(token.strip())
    return None
