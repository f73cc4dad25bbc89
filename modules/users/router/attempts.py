"""Attempts: failed log-ins count against the account and against the client's address, successful ones do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

from kernel.http.current import scope_of_request
from kernel.http.limits import FailureLimit
from kernel.pure.clock import Clock
from users.service import InvalidCredentials, WrongPassword, normalised_or_none

WINDOW: Final = timedelta(minutes=15)
PER_ACCOUNT: Final = 10
PER_ADDRESS: Final = 100
"""An office or a mobile network shares one address."""


class Attempts:
    """In memory, so each worker counts for itself."""

    def __init__(self, *, clock: Clock, enabled: bool) -> None:
        self._accounts = FailureLimit(clock, failures=PER_ACCOUNT, window=WINDOW, enabled=enabled)
        self._addresses = FailureLimit(clock, failures=PER_ADDRESS, window=WINDOW, enabled=enabled)

    def of_email(self, email: str) -> AbstractContextManager[None]:
        """Around an attempt to log in, whether or not there is such an account. Errors: TooManyRequests."""
        # One account can be spelled in many ways.
        return self._counted(f"email:{normalised_or_none(email) or email.casefold()}")

    def of_user(self, user_id: int) -> AbstractContextManager[None]:
        """Around an attempt to prove an account's password. Errors: TooManyRequests."""
        return self._counted(f"id:{user_id}")

    @contextmanager
    def _counted(self, account: str) -> Iterator[None]:
        address = _address()
        self._addresses.check(address)
        self._accounts.check(account)
        try:
            yield
        except (InvalidCredentials, WrongPassword):
            self._addresses.failed(address)
            self._accounts.failed(account)
            raise
        # The address is not forgiven: whoever guesses may own an account, too.
        self._accounts.succeeded(account)


def _address() -> str:
    """The client, as far as it can be told apart: of IPv6 the network, since a client picks the rest at will."""
    client = scope_of_request().get("client")
    host = client[0] if client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)
