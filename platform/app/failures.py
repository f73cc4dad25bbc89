"""Failures: what can go wrong outside of our code, told to people in one sentence instead of a traceback."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn, TextIO

from alembic.util import CommandError
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from app.modules import ModuleError
from app.sockets import AddressError
from kernel.database.embedded import EmbeddedPostgresError
from kernel.database.errors import ConnectionLost
from kernel.pure.errors import DomainError
from kernel.settings import SettingsError

INTERRUPTED: Final = 130
"""What shells know as "ended by Ctrl-C"."""


def told(run: Callable[[], object]) -> int:
    """Run it and answer the exit code; a failure is told on stderr. With EMPORIUM_DEBUG=1 it keeps its traceback."""
    try:
        run()
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BrokenPipeError:
        # Who read our output has seen enough; the interpreter must not try to flush the rest.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("EMPORIUM_DEBUG", "").lower() in ("1", "on", "true", "yes"):
            raise
        sentence = sentence_of(error)
        if sentence is None:
            raise
        say(sentence)
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """End the process now: a thread that hangs in a statement must not keep it, as the interpreter's own end would."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


def sentence_of(error: BaseException) -> str | None:
    """What a person can do something about, in one sentence (settings: one each); None for our own mistakes."""
    match error:
        case SettingsError() | EmbeddedPostgresError() | ModuleError() | AddressError() | CommandError() | DomainError():
            return str(error)
        case ConnectionLost() | OperationalError():
            return f"The database cannot be reached: {_first_line(error)}. Check DATABASE_URL, and that the server runs."
        case ValidationError():
            return "\n".join(_setting(detail["loc"], detail["msg"]) for detail in error.errors(include_input=False))
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" ({error.filename})" if error.filename else ""
            return f"The disk is full{where}: free some space and start again."
        case OSError() if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{error.filename or 'A file'} cannot be read or written: {error.strerror}."
        case _:
            return None


def say(sentence: str) -> None:
    """Tell people how it goes, on stderr."""
    _print(sentence, sys.stderr)


def announce(text: str) -> None:
    """Tell people what they asked for, on stdout."""
    _print(text, sys.stdout)


def _print(text: str, stream: TextIO) -> None:
    # The terminal may be gone (SIGHUP); what is left to do must be done all the same.
    with suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, OperationalError) else error.__cause__
    text = str(getattr(cause, "orig", None) or cause or error)
    return text.partition("\n")[0].rstrip(".")


def _setting(place: tuple[int | str, ...], message: str) -> str:
    return f"EMPORIUM_{'_'.join(map(str, place)).upper()} is not usable: {message}."
