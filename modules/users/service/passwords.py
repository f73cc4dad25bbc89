"""Passwords: argon2id hashes, and the rules for choosing one."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kernel.pure.errors import Invalid
from users.settings import MAX_PASSWORD, MIN_PASSWORD

# OWASP's second choice for argon2id: about 20 ms of one core. The library's default costs nine times as much.
_TIME_COST: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_PARALLELISM: Final = 1


class Passwords:
    """Hashes and verifies. Each call takes a core for about 20 ms and must hold no connection. Thread-safe."""

    def __init__(self, *, time_cost: int = _TIME_COST, memory_kib: int = _MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=_PARALLELISM)
        self._nobodys = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        return self._hasher.hash(_normalised(password))

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one. Without a hash: False, after the same work as with one."""
        try:
            self._hasher.verify(password_hash or self._nobodys, _normalised(password))
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def require_acceptable(password: str, *, email: str, pointer: str) -> None:
    """Errors: Invalid, naming the rule."""
    if len(password) < MIN_PASSWORD:
        raise Invalid(f"A password needs {MIN_PASSWORD} characters or more.", pointer=pointer)
    if len(password) > MAX_PASSWORD:
        raise Invalid(f"A password may have {MAX_PASSWORD} characters.", pointer=pointer)
    if password.casefold().strip() == email.casefold():
        raise Invalid("The password is the e-mail address; choose another one.", pointer=pointer)


def _normalised(password: str) -> bytes:
    # The same password typed on another system may arrive as other code points.
    return unicodedata.normalize("NFKC", password).encode("utf-8")
