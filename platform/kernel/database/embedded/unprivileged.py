"""The account that the server runs as when we are root, and the rights it needs: only what is missing is granted."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kernel.database.embedded.reasons import EmbeddedPostgresError

_CANDIDATES = ("postgres", "nobody")
_TRAVERSE, _READ = 0o1, 0o4


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int

    def may_reach(self, path: Path) -> None:
        """Let the account traverse every directory above `path` (resolved: no symlinks)."""
        for directory in reversed(path.parents):
            self._grant(directory, _TRAVERSE)

    def may_use(self, tree: Path) -> None:
        """Let the account read the tree and execute what is executable in it."""
        self.may_reach(tree)
        for path in _walk(tree):
            mode = path.stat().st_mode
            self._grant(path, _READ | _TRAVERSE if stat.S_ISDIR(mode) or mode & 0o111 else _READ)

    def own(self, tree: Path) -> None:
        """Make the account the owner of the tree, unless it is."""
        if tree.lstat().st_uid != self.uid:
            for path in _walk(tree):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _grant(self, path: Path, rights: int) -> None:
        status = path.stat()
        # The first class that fits decides, even when a later one has more rights.
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        missing = (rights << shift) & ~status.st_mode
        if missing:
            path.chmod(stat.S_IMODE(status.st_mode) | missing)


def account_for(directory: Path) -> Account | None:
    """Who must run the server of `directory`: None (ourselves) unless we are root, whom PostgreSQL refuses.

    A directory that already belongs to somebody stays theirs, so that they can go on without root.
    """
    if os.geteuid() != 0:
        return None
    if directory.exists() and (status := directory.stat()).st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses to run as root, and this machine has no user {' or '.join(_CANDIDATES)} to run it as; "
        "start as another user, or set DATABASE_URL to a server of your own."
    )


def _walk(tree: Path) -> Iterator[Path]:
    yield tree
    for directory, names, files in os.walk(tree):
        yield from (Path(directory, name) for name in (*names, *files))
