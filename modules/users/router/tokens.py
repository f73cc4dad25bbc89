"""Endpoints of being logged in: log in, refresh, log out."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final

from fastapi import Form
from starlette.responses import Response

from kernel.http.access import ANYONE, SIGNED_IN, Caller
from kernel.http.documents import Described
from kernel.http.routes import Router
from kernel.pure.errors import TooManyRequests
from users.router.attempts import Attempts
from users.schemas import TOKENS_EXAMPLE, LogInForm, RefreshTokenBody
from users.service import DatabaseUsersService, InvalidCredentials, InvalidRefreshToken, TokenPair

AUTH: Final = "/auth"

TokensBody = Annotated[
    TokenPair,
    Described(
        example=TOKENS_EXAMPLE,
        fields={
            "access_token": "Sent with each request as `Authorization: Bearer …`.",
            "refresh_token": "Exchanged once for a new pair, when the access token has expired.",
            "expires_in": "Seconds until the access token expires.",
        },
    ),
]


def add_tokens(
    router: Router, service: DatabaseUsersService, attempts: Attempts, gate: AbstractAsyncContextManager[Any]
) -> None:
    @router.post(f"{AUTH}/token", allow=ANYONE, gate=gate, summary="Log in", errors=[InvalidCredentials, TooManyRequests])
    def create_token(form: Annotated[LogInForm, Form()], response: Response) -> TokensBody:
        """OAuth2 password grant; `username` is the e-mail address. The words are the same for every reason to refuse."""
        with attempts.of_email(form.username):
            pair = service.log_in(email=form.username, password=form.password)
        return secret(pair, response)

    @router.post(f"{AUTH}/refresh", allow=ANYONE, summary="Exchange a refresh token", errors=[InvalidRefreshToken])
    def refresh_token(body: RefreshTokenBody, response: Response) -> TokensBody:
        """Each refresh token is used once. A repeat within ten seconds gets the same successor, because an answer can get
        lost; a later one ends the log-in, because somebody else must have the token."""
        return secret(service.refresh(refresh_token=body.refresh_token), response)

    @router.post(f"{AUTH}/logout", allow=ANYONE, summary="Log out here")
    def revoke_token(body: RefreshTokenBody) -> None:
        """Ends the log-in that the refresh token belongs to; an unknown token is no error. Its access token counts until it
        expires, a few minutes later; logging out everywhere ends that at once, too."""
        service.log_out(refresh_token=body.refresh_token)

    @router.post(f"{AUTH}/logout-everywhere", allow=SIGNED_IN, summary="Log out everywhere")
    def revoke_tokens(caller: Caller) -> None:
        """Ends all log-ins of the caller, and all access tokens from the next request on."""
        service.log_out_everywhere(user_id=caller.user_id)


def secret(pair: TokenPair, response: Response) -> TokenPair:
    response.headers["cache-control"] = "no-store"
    return pair
