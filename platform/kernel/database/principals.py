"""Principals: the generation ("epoch") of each account's rights, which every authenticated request is checked against."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from kernel.database.unit_of_work import Database

_OPEN: Final = text("INSERT INTO kernel.principals (user_id, epoch) VALUES (:user_id, 1)")
_RAISE: Final = text("UPDATE kernel.principals SET epoch = epoch + 1 WHERE user_id = :user_id RETURNING epoch")
_CLOSE: Final = text("DELETE FROM kernel.principals WHERE user_id = :user_id")


class Principals:
    """Kept by the kernel, written by the module that owns accounts. Each method joins the running transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, *, user_id: int) -> int:
        """Let an account in; its first epoch is 1."""
        with self._database.transaction() as session:
            session.execute(_OPEN, {"user_id": user_id})
        return 1

    def raise_epoch(self, *, user_id: int) -> int:
        """Make every access token issued so far invalid, and answer the new epoch. Errors: KeyError (no such account)."""
        with self._database.transaction() as session:
            epoch: int | None = session.execute(_RAISE, {"user_id": user_id}).scalar_one_or_none()
        if epoch is None:
            raise KeyError(user_id)
        return epoch

    def close(self, *, user_id: int) -> None:
        """Shut an account out for good. A repeat changes nothing."""
        with self._database.transaction() as session:
            session.execute(_CLOSE, {"user_id": user_id})
