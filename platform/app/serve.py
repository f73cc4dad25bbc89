"""Serving: one process or one worker per core on a socket that is bound already; a signal ends it within ten seconds."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from app.protocol import ShopProtocol
from app.signals import handling
from app.sockets import listen, spread
from app.workers import Workers
from kernel.database.dispatching.runner import Runner

GRACE_SECONDS: Final = 8
"""For requests that were started; with what has to be closed afterwards, the process is gone within ten."""
_KEEP_ALIVE_SECONDS: Final = 65
"""Longer than the usual load balancer keeps an idle connection, so that it is never us who closes it first."""


def serve_here(
    app: FastAPI, bound: socket.socket, *, access_log: bool = False, on_open: Callable[[], None] | None = None
) -> None:
    """Serve in this process until a signal comes. Errors: AddressError; SystemExit when the application fails to start."""
    listen(bound)
    config = uvicorn.Config(
        app,
        http=ShopProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=access_log,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config, on_open, partial(_end_deliveries, app)).run(sockets=[bound])


def _end_deliveries(app: FastAPI) -> None:
    runner: Runner | None = app.state.runner
    if runner is not None:
        runner.ask_to_stop()


def serve_by_workers(
    bound: socket.socket,
    count: int,
    environment: Mapping[str, str],
    *,
    access_log: bool = False,
    on_open: Callable[[], None] | None = None,
) -> int:
    """Serve by `count` processes, with `environment` on top of ours. Answers the exit code. Errors: AddressError."""
    sockets = spread(bound, count)
    for each in sockets:
        listen(each)
    workers = Workers(sockets, environment, access_log=access_log, on_open=on_open)
    with ExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        stack.enter_context(handling(lambda *_: workers.stop()))
        return workers.run()


def cores() -> list[int]:
    """The numbers of the cores that this process may run on; without the system's word, all of them."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(number: int) -> None:
    """Keep this process on one core, whose caches then stay warm; nothing where the system cannot."""
    available = cores()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {available[number % len(available)]})


class _Server(uvicorn.Server):
    """The server with our signals: a hang-up stops it as well, and a stop that was asked for is no failure."""

    def __init__(self, config: uvicorn.Config, on_open: Callable[[], None] | None, on_signal: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_open = on_open
        self._on_signal = on_signal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What lives now lives on: later collections need not look at it.
        gc.collect()
        gc.freeze()
        if self._on_open is not None:
            self._on_open()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # At once: the dispatcher ends while the last requests are answered.
        self._on_signal()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with handling(self.handle_exit):
            yield
