"""Why the embedded server cannot run: PostgreSQL's log lines and the system's errors, turned into one sentence for people."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ELSEWHERE = "set EMPORIUM_DATA_DIR to another directory"
_SERVER_OF_YOUR_OWN = "set DATABASE_URL to a server of your own"
_REASONS = (
    # These two come first: the system reports exhausted semaphores and shared memory as "No space left on device", too.
    (
        r"shared memory.*(No space left|Cannot allocate|Invalid argument)|semaphores.*No space left|Cannot allocate memory",
        f"The system has not enough (shared) memory for the embedded PostgreSQL in {{place}}; free some, or "
        f"{_SERVER_OF_YOUR_OWN}.",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        f"The disk that holds {{place}} is full; free some space, or {_ELSEWHERE}.",
    ),
    (
        r"Permission denied|Operation not permitted|Read-only file system|has (wrong ownership|invalid permissions)",
        f"The embedded PostgreSQL may not read and write {{place}}; correct its owner and rights, or {_ELSEWHERE}.",
    ),
    (
        r"checkpoint record|global/pg_(control|filenode)|control file|not a (valid data directory|database cluster directory)"
        r"|PANIC:|invalid page|files are incompatible with server"
        r"|pg_(wal|xact|hba|ident)\b.*No such file|postgresql\.conf.*No such file",
        "The data in {place} is damaged ({gist}); restore it from a backup, or move it away to start with an empty shop.",
    ),
)
_SYSTEM_ERRORS = {
    errno.ENOTDIR: "is a file, where a directory is needed",
    errno.EEXIST: "is a file, where a directory is needed",
    errno.ENAMETOOLONG: "has a name that is too long",
    errno.ENOEXEC: "is not for this machine",
}


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot start or stop; the message is one sentence that says why and what to do."""


def explain(output: str, place: Path) -> str | None:
    """The known reason in what PostgreSQL printed or logged, as a sentence; None when there is none."""
    for pattern, sentence in _REASONS:
        if re.search(pattern, output):
            return sentence.format(place=place, gist=gist(output))
    return None


def gist(output: str) -> str:
    """The line that matters most, without its time stamp and without the final full stop."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    grave = [line for line in lines if re.search(r"\b(PANIC|FATAL|error|ERROR|could not)\b", line)]
    line = (grave or lines[-1:] or ["it said nothing"])[0]
    return re.sub(r"^.*?\b(PANIC|FATAL|ERROR|error|LOG):\s+", "", line)[:300].rstrip(".")


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn errors of the system into `EmbeddedPostgresError`."""
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(_from_system(error, place)) from error


def _from_system(error: OSError, place: Path) -> str:
    at = Path(str(error.filename)) if error.filename else place
    if error.errno in _SYSTEM_ERRORS:
        return f"{at} {_SYSTEM_ERRORS[error.errno]}, so the embedded PostgreSQL cannot run; {_ELSEWHERE}."
    known = explain(error.strerror or "", at)
    return known or f"The embedded PostgreSQL in {place} cannot run: {error.strerror or error} ({at}); {_SERVER_OF_YOUR_OWN}."
