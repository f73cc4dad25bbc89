"""Fault points: named places at which a test kills its own process, as a power cut would. Elsewhere they do nothing.

With EMPORIUM_ENV=test, EMPORIUM_FAULT=<name> kills the process at the first point of that name, and
EMPORIUM_FAULT_RECORD=<file> writes down every point that is passed, a line each.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Final

FAULT: Final = "EMPORIUM_FAULT"
RECORD: Final = "EMPORIUM_FAULT_RECORD"
VARIABLES: Final = (FAULT, RECORD)


class Faults:
    """What this process does at its fault points."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        testing = environ.get("EMPORIUM_ENV") == "test"
        self.fault = environ.get(FAULT, "") if testing else ""
        self.record = environ.get(RECORD, "") if testing else ""
        self.armed = bool(self.fault or self.record)

    def passes(self, name: str) -> None:
        if self.record:
            # One write of less than a page, appended: lines of several processes do not mix.
            file = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, f"{name}\n".encode())
            finally:
                os.close(file)
        if name == self.fault:
            os.kill(os.getpid(), signal.SIGKILL)


_faults: Final = Faults(os.environ)


def fault_point(name: str) -> None:
    """A place at which a crash has to leave everything in order."""
    if _faults.armed:
        _faults.passes(name)
