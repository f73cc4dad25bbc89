"""A real PgBouncer in transaction pooling mode in front of the run's PostgreSQL, on unix sockets."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg2
from sqlalchemy import URL
from tests.flows._shops import until

from kernel.database.embedded.cluster import PORT
from kernel.database.embedded.provision import APPLICATION, MIGRATOR, SUPERUSER
from kernel.database.embedded.unprivileged import Account, account_for

SERVER_CONNECTIONS: Final = 3
"""Per login and database: fewer than one worker of the shop has threads."""
ALIAS: Final = "front"
"""Another name of the database, as the pooler gives it."""

# Nothing of the start-up packet is ignored: what PgBouncer refuses by default must not be sent.
_CONFIGURATION: Final = """\
[databases]
{alias} = host={server} port={port} dbname={database}
* = host={server} port={port}

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {home}
auth_type = trust
auth_file = {home}/users.txt
admin_users = {superuser}
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 400
logfile = {home}/log
log_connections = 1
"""


def find() -> str | None:
    """The program; Debian keeps it where an ordinary person's PATH does not lead."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")


@dataclass
class Pooler:
    """A PgBouncer that can be stopped and started again at the same address."""

    home: Path
    account: Account | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(encoding="utf-8")

    def url(self, direct: URL) -> URL:
        """The same database by the same login, through the pooler."""
        return direct.update_query_dict({"host": str(self.home)})

    def text(self, direct: URL) -> str:
        return self.url(direct).render_as_string(hide_password=False)

    def show(self, what: str) -> list[dict[str, Any]]:
        """What the pooler tells of itself: POOLS, CLIENTS, SERVERS."""
        console = psycopg2.connect(host=str(self.home), port=PORT, user=SUPERUSER, dbname="pgbouncer")
        console.autocommit = True
        with closing(console), console.cursor() as cursor:
            cursor.execute(f"SHOW {what}")
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def start(self) -> None:
        program = find()
        assert program
        self.process = subprocess.Popen(
            [program, "--quiet", str(self.home / "pgbouncer.ini")],
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, "PgBouncer answers")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None

    def _answers(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise AssertionError(f"PgBouncer ended with {self.process.returncode}:\n{self.log}")
        try:
            self.show("VERSION")
        except psycopg2.OperationalError:
            return False
        return True


@contextmanager
def pooler(server: URL, folder: Path, *, mode: str = "transaction", size: int = SERVER_CONNECTIONS) -> Iterator[Pooler]:
    """In a folder of its own in `folder`, whose path is short enough for a socket's."""
    socket_dir = Path(str(server.query["host"]))
    home = folder / f"pooler-{uuid4().hex[:6]}"
    home.mkdir(mode=0o700)
    configuration = _CONFIGURATION.format(
        home=home,
        server=socket_dir,
        port=PORT,
        superuser=SUPERUSER,
        mode=mode,
        size=size,
        alias=ALIAS,
        database=server.database,
    )
    (home / "pgbouncer.ini").write_text(configuration, encoding="utf-8")
    users = (APPLICATION, MIGRATOR, SUPERUSER)
    (home / "users.txt").write_text("".join(f'"{user}" ""\n' for user in users), encoding="utf-8")
    # PgBouncer, too, refuses to run as root; and the server's socket opens for its own account only.
    account = account_for(socket_dir)
    if account:
        account.may_reach(home)
        account.own(home)
    made = Pooler(home, account)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(home)
