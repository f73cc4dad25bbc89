"""Logs: one line per record on stderr, with the id of the request that it belongs to."""

from __future__ import annotations

import logging
import time
from typing import Final

from kernel.http.current import request_id

_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s [%(request)s] %(message)s"


class OneLine(logging.Formatter):
    """Escapes line breaks, so that a traceback stays one record for whatever collects the lines."""

    converter = time.gmtime  # type: ignore[assignment] # the standard library documents this very line

    def __init__(self, *, lines: bool) -> None:
        super().__init__(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        record.request = request_id() or "-"
        text = super().format(record)
        return text if self._lines else text.replace("\r", "\\r").replace("\n", "\\n")


def set_up(*, debug: bool = False, access_log: bool = False) -> None:
    """Configure the process's logging. With `debug`, tracebacks keep their line breaks."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(lines=debug))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The server's own chatter; what matters is said by `app.serve`.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
