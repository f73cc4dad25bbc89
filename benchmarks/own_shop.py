"""A shop of one's own: `emporium run` on a PostgreSQL in a temporary directory; both are gone when the block ends."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.database.embedded import EmbeddedPostgres

_ADMIN: Final = "admin@example.com"
_OPENING_SECONDS: Final = 120
_CLOSING_SECONDS: Final = 30
_NOT_INHERITED: Final = ("EMPORIUM_", "DATABASE_", "DB_")


class OwnShopError(Exception):
    """The shop did not open; the message holds what it said."""


@dataclass(frozen=True)
class OwnShop:
    url: str
    admin_email: str
    admin_password: str
    postgres: EmbeddedPostgres
    pid: int


@contextmanager
def open_shop() -> Iterator[OwnShop]:
    """A running shop of one process, with an admin. Errors: OwnShopError, EmbeddedPostgresError."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emporium-shop-")))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "data"))
        log = stack.enter_context((directory / "shop.log").open("wb+"))
        port, password = _free_port(), secrets.token_urlsafe(18)
        shop = subprocess.Popen(
            [Path(sys.executable).with_name("emporium"), "run"],
            env=_environment(postgres, port, password, directory),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us; the shop is stopped when we are done with it.
            start_new_session=True,
        )
        stack.callback(_stop, shop)
        url = f"http://127.0.0.1:{port}"
        if not _opened(url, shop):
            log.seek(0)
            raise OwnShopError(f"The shop did not open. It said:\n{log.read().decode(errors='replace').strip()}")
        yield OwnShop(url, _ADMIN, password, postgres, shop.pid)


def _environment(postgres: EmbeddedPostgres, port: int, password: str, directory: Path) -> Mapping[str, str]:
    """Everything that leads to a database is named: a `.env` in this checkout must not lead to somebody's own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    application = postgres.app_url.render_as_string(hide_password=False)
    return inherited | {
        "DATABASE_URL": application,
        "DATABASE_DIRECT_URL": application,
        "DATABASE_MIGRATION_URL": postgres.migration_url.render_as_string(hide_password=False),
        "DATABASE_ROLE_PREFIX": str(postgres.app_url.database),
        "EMPORIUM_ENV": "development",
        "EMPORIUM_DATA_DIR": str(directory / "data"),
        "EMPORIUM_WORKERS": "1",
        # Nobody pays here: a slow machine must not see its first orders expire before the last is placed.
        "EMPORIUM_HOLD_MINUTES": "1440",
        "EMPORIUM_ADMIN_EMAIL": _ADMIN,
        "EMPORIUM_ADMIN_PASSWORD": password,
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }


def _opened(url: str, shop: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _OPENING_SECONDS
    while time.monotonic() < deadline and shop.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 -- our own address
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.1)
    return False


def _stop(shop: subprocess.Popen[bytes]) -> None:
    shop.terminate()
    try:
        shop.wait(_CLOSING_SECONDS)
    except subprocess.TimeoutExpired:
        shop.kill()
        shop.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
