"""The gate before endpoints that hash passwords: as many at a time as there are cores, the others wait on the event loop.

Each hash takes a core for 20 ms. Without the gate a burst of log-ins would take all threads, and the shop would stand still.
"""

from __future__ import annotations

import asyncio
import os


def hashing_gate() -> asyncio.Semaphore:
    return asyncio.Semaphore(os.cpu_count() or 1)
