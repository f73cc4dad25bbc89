"""Use cases of admins: grant and take roles, disable and enable accounts, make the first admin."""

from __future__ import annotations

import secrets

from kernel.pure.errors import Conflict, NotFound
from kernel.pure.principal import ADMIN
from users.crud import accounts as crud
from users.crud import roles as roles_crud
from users.crud import token_families as families_crud
from users.interface import User, UserNotFound
from users.service.accounts import AccountUseCases, EmailTaken
from users.service.addresses import normalised
from users.service.base import LastAdmin, as_user, require_account, require_another_admin, require_user

__all__ = ["AdministrationUseCases", "LastAdmin", "NotAnAdmin", "RoleNotFound"]


class RoleNotFound(NotFound):
    """No installed module has a role of this name."""

    code = "role-not-found"
    title = "Role not found"


class NotAnAdmin(Conflict):
    """The address belongs to an account that is not an admin."""

    code = "not-an-admin"
    title = "The account is not an admin"


class AdministrationUseCases(AccountUseCases):
    def grant_role(self, *, user_id: int, role: str) -> User:
        """Idempotent. Counts from the next request on. Errors: RoleNotFound, UserNotFound."""
        with self._database.transaction() as session:
            require_account(session, user_id)
            self._require_role(role)
            if roles_crud.grant_role(session, user_id, role):
                self._raise_epoch(session, user_id)
            return require_user(crud.read_user(session, user_id), user_id)

    def take_role(self, *, user_id: int, role: str) -> None:
        """Idempotent. Counts from the next request on. Errors: RoleNotFound, UserNotFound, LastAdmin."""
        with self._database.transaction() as session:
            require_account(session, user_id)
            if role == ADMIN:
                require_another_admin(session, user_id)
            if roles_crud.take_role(session, user_id, role):
                self._raise_epoch(session, user_id)
                return
            # A role of a module that is not installed any more can still be taken, so this comes last.
            self._require_role(role)

    def disable(self, *, user_id: int) -> User:
        """Keep the account out, from the next request on. Idempotent. Errors: UserNotFound, LastAdmin."""
        with self._database.transaction() as session:
            require_account(session, user_id)
            require_another_admin(session, user_id)
            if crud.disable_account(session, user_id):
                families_crud.end_families(session, user_id)
                self._raise_epoch(session, user_id)
            return require_user(crud.read_user(session, user_id), user_id)

    def enable(self, *, user_id: int) -> User:
        """Let the account in again; the person has to log in. Idempotent. Errors: UserNotFound."""
        with self._database.transaction() as session:
            require_account(session, user_id)
            crud.enable_account(session, user_id)
            return require_user(crud.read_user(session, user_id), user_id)

    def create_admin(self, *, email: str, password: str) -> User | None:
        """Open an account with the role `admin`; None when there is one with this address, which stays as it is.

        Errors: Invalid, NotAnAdmin. A customer's account is not made an admin's in passing: whoever registered the address
        first need not be the person who is meant.
        """
        if self._is_admin(email):
            return None
        try:
            return self.register(email=email, password=password, roles=(ADMIN,))
        except EmailTaken:
            if self._is_admin(email):
                return None
            raise

    def ensure_admin(self, *, email: str, password: str | None) -> str | None:
        """`create_admin`, with a generated password when there is none; answers it when it was used."""
        if self._is_admin(email):
            return None
        chosen = password or secrets.token_urlsafe(15)
        created = self.create_admin(email=email, password=chosen)
        return None if password or created is None else chosen

    def promote(self, *, email: str) -> User:
        """Give the account with this address the role `admin`. Errors: Invalid, UserNotFound."""
        address = normalised(email)
        with self._database.read() as connection:
            row = crud.read_user_by_email(connection, address)
        if row is None:
            raise UserNotFound(f"There is no account {address}.")
        return self.grant_role(user_id=row.id, role=ADMIN)

    def _is_admin(self, email: str) -> bool:
        """False when nobody has the address. Errors: NotAnAdmin when somebody else has."""
        address = normalised(email)
        with self._database.read() as connection:
            row = crud.read_user_by_email(connection, address)
        if row is None:
            return False
        if ADMIN not in as_user(row).roles:
            raise NotAnAdmin(f"{address} has an account already, and it is not an admin's.")
        return True

    def _require_role(self, role: str) -> None:
        if role not in self._grantable_roles:
            known = sorted(self._grantable_roles)
            raise RoleNotFound(f"There is no role {role!r}; roles are {', '.join(known)}.", roles=known)
