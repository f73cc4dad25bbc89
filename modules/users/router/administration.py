"""Endpoints for admins: list users, grant and take roles, disable and enable accounts."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query
from starlette.responses import Response

from kernel.http.access import role
from kernel.http.fields import Identifier, IdField
from kernel.http.pages import Keyset
from kernel.http.routes import Router
from kernel.pure.principal import ADMIN
from kernel.pure.values import Page
from users.interface import User, UserNotFound
from users.schemas import RoleName, UserBody, UserQuery
from users.service import DatabaseUsersService, LastAdmin, RoleNotFound, UserFilter

USERS: Final = "/users"
ROLE: Final = f"{USERS}/{{user_id}}/roles/{{role_name}}"

RoleInPath = Annotated[RoleName, Path(description="`admin`, or a role that a module declares.")]

_BY_ID: Final = Keyset[User](lambda user: (user.id,), IdField)


def add_administration(router: Router, service: DatabaseUsersService) -> None:
    @router.get(USERS, allow=role(ADMIN), summary="List users, oldest first")
    def list_users(query: Annotated[UserQuery, Query()], response: Response) -> Page[UserBody]:
        found = service.list_users(
            where=UserFilter(email=query.email, role=query.role, disabled=query.disabled),
            after_id=_BY_ID.after_id(query, first=0),
            limit=query.limit + 1,
        )
        return _BY_ID.page(query, found, response)

    @router.put(ROLE, allow=role(ADMIN), summary="Grant a role", errors=[UserNotFound, RoleNotFound])
    def grant_role(user_id: Identifier, role_name: RoleInPath) -> UserBody:
        """Idempotent. Access tokens of the account end with the next request; a refresh brings one with the role."""
        return service.grant_role(user_id=user_id, role=role_name)

    @router.delete(
        ROLE, allow=role(ADMIN), status_code=204, summary="Take a role", errors=[UserNotFound, RoleNotFound, LastAdmin]
    )
    def take_role(user_id: Identifier, role_name: RoleInPath) -> None:
        """Idempotent. Counts from the account's next request on."""
        service.take_role(user_id=user_id, role=role_name)

    @router.post(
        f"{USERS}/{{user_id}}/disable", allow=role(ADMIN), summary="Keep an account out", errors=[UserNotFound, LastAdmin]
    )
    def disable_user(user_id: Identifier) -> UserBody:
        """Idempotent. Ends all log-ins, and counts from the account's next request on."""
        return service.disable(user_id=user_id)

    @router.post(f"{USERS}/{{user_id}}/enable", allow=role(ADMIN), summary="Let an account in again", errors=[UserNotFound])
    def enable_user(user_id: Identifier) -> UserBody:
        """Idempotent. The person has to log in again."""
        return service.enable(user_id=user_id)
