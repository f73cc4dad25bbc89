"""Use cases of being logged in: log in, refresh, log out here and everywhere, change the password."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from kernel.database.call import RetryCall
from kernel.database.types import AnyRow
from kernel.pure.errors import Invalid, Unauthenticated
from kernel.pure.principal import Principal
from users.crud import accounts as accounts_crud
from users.crud import token_families as crud
from users.service.addresses import normalised_or_none
from users.service.base import TokenIssuer, UseCases, user_not_found
from users.service.passwords import require_acceptable

__all__ = ["InvalidCredentials", "InvalidRefreshToken", "LogInUseCases", "TokenIssuer", "TokenPair", "WrongPassword"]

REPEAT_WINDOW: Final = timedelta(seconds=10)
"""How long a token that was used is answered with its successor again: the answer may have been lost on its way."""

logger: Final = logging.getLogger("users")


class InvalidCredentials(Unauthenticated):
    """The e-mail address or the password is wrong, or the account cannot be used; which of them is not told."""

    code = "invalid-credentials"
    title = "Log-in failed"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.", error="invalid_grant")


class InvalidRefreshToken(Unauthenticated):
    """The refresh token is unknown, expired, used before, or its log-in has ended; which of them is not told."""

    code = "invalid-refresh-token"
    title = "The refresh token is not valid"

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid: log in again.", error="invalid_grant")


class WrongPassword(Invalid):
    """The old password is not the account's."""

    code = "wrong-password"
    title = "The password is wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a log-in is worth. `expires_in` is the access token's lifetime in seconds."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class LogInUseCases(UseCases):
    def log_in(self, *, email: str, password: str) -> TokenPair:
        """Errors: InvalidCredentials, after the same work for every reason."""
        address = normalised_or_none(email)
        with self._database.read() as connection:
            # Asked for in any case: the answer must not come sooner for what is no address.
            found = accounts_crud.read_credentials_by_email(connection, address or "")
        # From here to the transaction no connection is held.
        matches = self._passwords.verify(None if found is None else found.password_hash, password)
        if found is None or not matches or found.disabled_at is not None:
            raise InvalidCredentials
        outdated = self._passwords.is_outdated(found.password_hash)
        new_hash = self._passwords.hash(password) if outdated else None
        with self._database.transaction() as session:
            if not accounts_crud.lock_account_for_log_in(session, found.id, password_hash=found.password_hash):
                # Another hash or a closed door since: the next run finds out which.
                raise RetryCall
            if new_hash is not None:
                accounts_crud.set_password(session, found.id, old_hash=found.password_hash, new_hash=new_hash)
            return self._start(session, found.id)

    def refresh(self, *, refresh_token: str) -> TokenPair:
        """Exchange a refresh token for its successor and a new access token. Errors: InvalidRefreshToken.

        A repeat within ten seconds gets the same successor. Any later use of a used token ends its whole family: one of
        two holders is a thief, and nobody can tell which.
        """
        known = self._refresh_tokens.read(refresh_token)
        if known is None:
            raise InvalidRefreshToken
        family_id, generation = known
        now = self._clock.now()
        with self._database.transaction() as session:
            expires_at = now + self._lifetimes.refresh
            user_id = crud.rotate_family(session, family_id, generation=generation, now=now, expires_at=expires_at)
            if user_id is None:
                user_id = self._repeating_user(session, family_id, generation, now)
            principal = None if user_id is None else _principal(session, user_id)
        if principal is None:
            raise InvalidRefreshToken
        return self._pair(principal, family_id, generation + 1)

    def log_out(self, *, refresh_token: str) -> None:
        """End the log-in that this token belongs to. Idempotent; an unknown token changes nothing."""
        known = self._refresh_tokens.read(refresh_token)
        if known is None:
            return
        with self._database.transaction() as session:
            crud.end_family(session, known[0])

    def log_out_everywhere(self, *, user_id: int) -> None:
        """End all log-ins and all access tokens of the account. Errors: UserNotFound."""
        with self._database.transaction() as session:
            if not accounts_crud.lock_account(session, user_id):
                raise user_not_found(user_id)
            self._end_all(session, user_id)

    def change_password(self, *, user_id: int, old_password: str, new_password: str) -> TokenPair:
        """Set a new password, end all log-ins and access tokens, and log in anew.

        Errors: UserNotFound, WrongPassword, Invalid (the new password).
        """
        with self._database.read() as connection:
            found = accounts_crud.read_credentials(connection, user_id)
        if found is None:
            raise user_not_found(user_id)
        if not self._passwords.verify(found.password_hash, old_password):
            raise WrongPassword("This is not the account's password.", pointer="/old_password")
        require_acceptable(new_password, email=found.email, pointer="/new_password")
        new_hash = self._passwords.hash(new_password)
        with self._database.transaction() as session:
            if not accounts_crud.set_password(session, user_id, old_hash=found.password_hash, new_hash=new_hash):
                raise RetryCall
            self._end_all(session, user_id)
            return self._start(session, user_id)

    def _repeating_user(self, session: Session, family_id: UUID, generation: int, now: datetime) -> int | None:
        """The user of a token that was used a moment ago. A token used before that ends its family: None."""
        family = crud.read_family(session, family_id, now=now)
        if family is None or generation > family.generation:
            return None
        if _is_repeat(family, generation, now):
            user_id: int = family.user_id
            return user_id
        logger.warning("A refresh token of user %d was used again: its log-in has ended.", family.user_id)
        crud.end_family(session, family_id)
        return None

    def _end_all(self, session: Session, user_id: int) -> None:
        crud.end_families(session, user_id)
        self._raise_epoch(session, user_id)

    def _start(self, session: Session, user_id: int) -> TokenPair:
        principal = _principal(session, user_id)
        if principal is None:
            raise InvalidCredentials
        now, family_id = self._clock.now(), uuid4()
        crud.start_family(session, user_id, family_id=family_id, now=now, expires_at=now + self._lifetimes.refresh)
        return self._pair(principal, family_id, 1)

    def _pair(self, principal: Principal, family_id: UUID, generation: int) -> TokenPair:
        return TokenPair(
            access_token=self._access_tokens.issue(principal, self._lifetimes.access),
            refresh_token=self._refresh_tokens.write(family_id, generation),
            token_type="bearer",  # noqa: S106 -- the name of a scheme
            expires_in=int(self._lifetimes.access.total_seconds()),
        )


def _principal(session: Session, user_id: int) -> Principal | None:
    """Who tokens are issued for; None for an account that may not log in."""
    row = crud.read_principal(session, user_id)
    return None if row is None else Principal(user_id=user_id, roles=frozenset(row.roles), epoch=row.epoch)


def _is_repeat(family: AnyRow, generation: int, now: datetime) -> bool:
    return bool(family.generation == generation + 1 and now - family.rotated_at <= REPEAT_WINDOW)
