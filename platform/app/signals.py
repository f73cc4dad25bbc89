"""Signals: what ends the shop (Ctrl-C, a polite kill, a closed terminal), and who answers to it meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Give the stop signals to `handler` in this block; one that is ignored (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handled in before.items():
        if handled is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)


def interrupt(_: int, __: Any) -> None:
    """Unwinds like Ctrl-C, so that everything that was opened is closed."""
    raise KeyboardInterrupt


def already_ending(_: int, __: Any) -> None:
    """For what must be finished once it has begun."""
