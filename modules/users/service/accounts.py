"""Use cases of accounts: register, read, list, change, close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernel.pure.errors import Conflict
from kernel.pure.principal import Principal
from users.crud import accounts as crud
from users.crud import roles as roles_crud
from users.crud.accounts import UserFilter
from users.interface import User, UserClosed
from users.service.addresses import normalised, normalised_or_none
from users.service.base import UseCases, as_user, require_account, require_another_admin, require_user, user_not_found
from users.service.passwords import require_acceptable

UserChanges = Mapping[str, Any]
"""Columns to set: full_name."""

__all__ = ["AccountUseCases", "EmailTaken", "UserFilter"]


class EmailTaken(Conflict):
    """Another account has this e-mail address, perhaps in other letter case."""

    code = "email-taken"
    title = "The e-mail address is taken"


class AccountUseCases(UseCases):
    def register(self, *, email: str, password: str, full_name: str | None = None, roles: Sequence[str] = ()) -> User:
        """Open an account. Errors: Invalid (address or password), EmailTaken."""
        address = normalised(email)
        require_acceptable(password, email=address, pointer="/password")
        password_hash = self._passwords.hash(password)
        with self._database.transaction() as session:
            user_id = crud.create_account(session, email=address, password_hash=password_hash, full_name=full_name)
            if user_id is None:
                raise EmailTaken("There is an account with this e-mail address.", pointer="/email")
            for role in roles:
                roles_crud.grant_role(session, user_id, role)
            self._principals.open(user_id=user_id)
            return require_user(crud.read_user(session, user_id), user_id)

    def get(self, *, user_id: int) -> User:
        with self._database.read() as connection:
            return require_user(crud.read_user(connection, user_id), user_id)

    def read_user(self, *, user_id: int, caller: Principal) -> User:
        """Errors: UserNotFound, also for somebody else than the person and an admin."""
        user = self.get(user_id=user_id)
        _require_access(caller, user_id)
        return user

    def list_users(self, *, where: UserFilter, after_id: int, limit: int) -> Sequence[User]:
        """Up to `limit` users after an id, in the order of ids."""
        if where.email is not None:
            address = normalised_or_none(where.email)
            if address is None:
                return []
            where = UserFilter(email=address, role=where.role, disabled=where.disabled)
        with self._database.read() as connection:
            return [as_user(row) for row in crud.list_users(connection, where=where, after_id=after_id, limit=limit)]

    def change_user(self, *, user_id: int, caller: Principal, changes: UserChanges) -> User:
        """Set what `changes` names. Errors: UserNotFound."""
        with self._database.transaction() as session:
            row = crud.change_account(session, user_id, changes) if changes else crud.read_user(session, user_id)
            # After the first statement, which tells whether the caller's token still counts; the error undoes it.
            _require_access(caller, user_id)
            return require_user(row, user_id)

    def close(self, *, user_id: int, caller: Principal) -> None:
        """Erase the personal data, end all tokens, free the e-mail address. The id stays, because orders name it.

        Errors: UserNotFound, LastAdmin. Publishes UserClosed.
        """
        with self._database.transaction() as session:
            require_account(session, user_id)
            _require_access(caller, user_id)
            require_another_admin(session, user_id)
            crud.close_account(session, user_id)
            self._principals.close(user_id=user_id)
            self._events.publish(UserClosed(user_id=user_id))


def _require_access(caller: Principal, user_id: int) -> None:
    """Errors: UserNotFound, in the words of an id that does not exist."""
    if caller.user_id != user_id and not caller.is_admin:
        raise user_not_found(user_id)
