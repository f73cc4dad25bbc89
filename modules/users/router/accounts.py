"""Endpoints of accounts: register, and everything that a person does with their own account."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from starlette.responses import Response

from kernel.http.access import ANYONE, SIGNED_IN, Caller
from kernel.http.fields import Identifier, changes
from kernel.http.routes import Router
from kernel.pure.errors import TooManyRequests
from users.interface import UserNotFound
from users.router.attempts import Attempts
from users.router.tokens import TokensBody, secret
from users.schemas import PasswordBody, PatchUserBody, RegisterBody, ReplaceUserBody, UserBody
from users.service import DatabaseUsersService, EmailTaken, LastAdmin, WrongPassword

USERS: Final = "/users"


def add_accounts(
    router: Router, service: DatabaseUsersService, attempts: Attempts, gate: AbstractAsyncContextManager[Any]
) -> None:
    @router.post(USERS, allow=ANYONE, status_code=201, gate=gate, summary="Register", errors=[EmailTaken])
    def create_user(body: RegisterBody, response: Response) -> UserBody:
        user = service.register(email=body.email, password=body.password, full_name=body.full_name)
        response.headers["location"] = f"{router.prefix}{USERS}/{user.id}"
        return user

    _add_own(router, service)
    _add_by_id(router, service)

    @router.post(
        f"{USERS}/me/password",
        allow=SIGNED_IN,
        gate=gate,
        summary="Change your password",
        errors=[WrongPassword, TooManyRequests],
    )
    def change_password(body: PasswordBody, caller: Caller, response: Response) -> TokensBody:
        """Ends every log-in of the account, and answers the tokens of a new one: you stay logged in here, nobody does
        elsewhere."""
        with attempts.of_user(caller.user_id):
            pair = service.change_password(
                user_id=caller.user_id, old_password=body.old_password, new_password=body.new_password
            )
        return secret(pair, response)


def _add_own(router: Router, service: DatabaseUsersService) -> None:
    @router.get(f"{USERS}/me", allow=SIGNED_IN, summary="Read your account")
    def read_me(caller: Caller) -> UserBody:
        return service.read_user(user_id=caller.user_id, caller=caller)

    @router.patch(f"{USERS}/me", allow=SIGNED_IN, summary="Change parts of your account")
    def patch_me(body: PatchUserBody, caller: Caller) -> UserBody:
        return service.change_user(user_id=caller.user_id, caller=caller, changes=changes(body))

    @router.delete(f"{USERS}/me", allow=SIGNED_IN, status_code=204, summary="Delete your account", errors=[LastAdmin])
    def delete_me(caller: Caller) -> None:
        """Erases your personal data and ends all log-ins; your orders stay with the shop. The e-mail address is free
        again."""
        service.close(user_id=caller.user_id, caller=caller)


def _add_by_id(router: Router, service: DatabaseUsersService) -> None:
    """For the person and for admins; to everybody else the account is not there."""

    @router.get(f"{USERS}/{{user_id}}", allow=SIGNED_IN, summary="Read an account", errors=[UserNotFound])
    def read_user(user_id: Identifier, caller: Caller) -> UserBody:
        return service.read_user(user_id=user_id, caller=caller)

    @router.put(f"{USERS}/{{user_id}}", allow=SIGNED_IN, summary="Replace an account's content", errors=[UserNotFound])
    def replace_user(user_id: Identifier, body: ReplaceUserBody, caller: Caller) -> UserBody:
        return service.change_user(user_id=user_id, caller=caller, changes={"full_name": body.full_name})

    @router.patch(f"{USERS}/{{user_id}}", allow=SIGNED_IN, summary="Change parts of an account", errors=[UserNotFound])
    def patch_user(user_id: Identifier, body: PatchUserBody, caller: Caller) -> UserBody:
        return service.change_user(user_id=user_id, caller=caller, changes=changes(body))

    @router.delete(
        f"{USERS}/{{user_id}}",
        allow=SIGNED_IN,
        status_code=204,
        summary="Delete an account",
        errors=[UserNotFound, LastAdmin],
    )
    def delete_user(user_id: Identifier, caller: Caller) -> None:
        """Erases the personal data and ends all log-ins; the orders stay. The e-mail address is free again."""
        service.close(user_id=user_id, caller=caller)
