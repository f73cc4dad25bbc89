"""One worker of `emporium serve`: `python -m app.worker SOCKET CONTROL NUMBER`. Its settings come by environment."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial

from app import logs
from app.application import create_app
from app.failures import leave, told
from app.modules import installed, variables
from app.opening import open_engines
from app.serve import pin, serve_here
from app.workers import ACCESS_LOG, READY
from kernel.settings import load_settings


def main() -> None:
    listening, control, number = (int(argument) for argument in sys.argv[1:4])
    supervisor = socket.socket(fileno=control)
    threading.Thread(target=_end_with, args=(supervisor,), daemon=True).start()
    code = told(partial(_serve, socket.socket(fileno=listening), supervisor, number))
    leave(code)


def _serve(bound: socket.socket, supervisor: socket.socket, number: int) -> None:
    settings = load_settings(known=variables())
    access_log = ACCESS_LOG in sys.argv
    logs.set_up(debug=settings.debug, access_log=access_log)
    pin(number)
    # The supervisor has said already how the wall between the modules stands.
    engines = open_engines(settings, [module.name for module in installed()], quietly=True)
    app = create_app(settings, engines=engines)
    serve_here(app, bound, access_log=access_log, on_open=partial(_tell, supervisor))


def _tell(supervisor: socket.socket) -> None:
    # When nobody listens any more, `_end_with` has noticed as well.
    with suppress(OSError):
        supervisor.sendall(READY)


def _end_with(supervisor: socket.socket) -> None:
    """The other side says nothing; it closes when the supervisor ends, even by SIGKILL."""
    # A reset: it was killed before it had read that we are ready.
    with suppress(OSError):
        supervisor.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
