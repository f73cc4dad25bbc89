"""What can be set for users, and the limits that bodies and services share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kernel.settings import SettingsError, read_variables

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 128
"""Characters. Any may be used; length is what makes a password hard to guess (NIST SP 800-63B)."""
MAX_EMAIL: Final = 254
"""Characters of an address that mail servers take (RFC 5321)."""
MAX_ROLE: Final = 64

_MINUTES: Final = "EMPORIUM_ACCESS_TOKEN_MINUTES"
_DAYS: Final = "EMPORIUM_REFRESH_TOKEN_DAYS"
VARIABLES: Final = (_MINUTES, _DAYS)


@dataclass(frozen=True, kw_only=True)
class TokenLifetimes:
    """How long tokens count. An access token ends sooner when the rights of its account change."""

    access: timedelta = timedelta(minutes=15)
    refresh: timedelta = timedelta(days=30)


def load_token_lifetimes(environ: Mapping[str, str] | None = None) -> TokenLifetimes:
    """From the environment and `.env`. Errors: SettingsError."""
    values = read_variables(environ=environ)
    problems: list[str] = []
    minutes = _whole_number(values, _MINUTES, 15, 24 * 60, problems)
    days = _whole_number(values, _DAYS, 30, 365, problems)
    if problems:
        raise SettingsError(problems)
    return TokenLifetimes(access=timedelta(minutes=minutes), refresh=timedelta(days=days))


def _whole_number(values: Mapping[str, str], name: str, default: int, maximum: int, problems: list[str]) -> int:
    given = values.get(name, str(default))
    if given.isascii() and given.isdigit() and 1 <= int(given[:6]) <= maximum:
        return int(given[:6])
    problems.append(f"{name} must be a whole number from 1 to {maximum} (it is {given[:40]!r}), for example {name}={default}.")
    return default
