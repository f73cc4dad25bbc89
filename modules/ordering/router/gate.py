"""The gate before endpoints that ask the payment provider.

A provider that does not answer must not take every thread, and with them the whole shop. Nor may those who pay queue without
end: a process that is told to stop could not answer them in time.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ordering.interface import PaymentsUnavailable

WAIT_SECONDS: Final = 3.0


class ProviderGate:
    """Lets half of the threads wait for the provider at a time; who comes then waits on the event loop, for three seconds.

    Errors: PaymentsUnavailable. Nothing has begun by then, so the same request may come again.
    """

    def __init__(self, threads: int) -> None:
        self._free = asyncio.Semaphore(max(1, threads // 2))

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise PaymentsUnavailable(
                "The payment provider answers slowly, and others are waiting for it; repeat the request.", retry_after=2
            ) from None

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
