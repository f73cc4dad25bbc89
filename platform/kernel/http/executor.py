"""The hop executor: the threads in which whole calls run, one hop per request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class HopExecutor:
    """Threads of our own, so that no other use of a default thread pool can hold requests up.

    Each hop sees the contextvars of its request. `hops` counts them; tests assert on it.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.hops = 0
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hop")

    async def run(self, call: Callable[[], T]) -> T:
        self.hops += 1
        return await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, _guarded, call)

    def shutdown(self, *, wait: bool = True) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=not wait)


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:
        # A future cannot carry StopIteration: the request would wait for ever.
        raise RuntimeError("An endpoint let StopIteration escape.") from error
