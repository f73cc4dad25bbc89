"""World: the application on a database of its own, with something in it, and copies of that to try requests on."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, cast

from fastapi import FastAPI
from schemathesis.python.asgi import ASGIClient, get_client, shutdown_lifespans
from sqlalchemy import event

from app.application import create_app
from app.contracts.laboratory import Laboratory
from app.migrations import Target
from app.modules import installed, variables
from app.opening import open_engines
from kernel.database.call import run_call
from kernel.database.engines import Engines
from kernel.settings import load_settings

ADMIN: Final = ("admin@example.com", "the first admin of a replay")
"""Made by the modules' own `bootstrap`."""
_THREADS: Final = 4


class World:
    """Usable inside of its `with` block. Requests go to the current database: the world's own, or a copy of it."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._stack = ExitStack()
        self._target: Target
        self._current = ""
        self._engines: Engines
        self.app: FastAPI
        self.client: ASGIClient

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._target = stack.enter_context(self._laboratory.clone())
            self._current = self._target.database
            environ = self._environ(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            settings = load_settings(env_file=Path(os.devnull), environ=environ, known=variables())
            stack.enter_context(_quiet())
            modules = installed()
            self._engines = open_engines(settings, [module.name for module in modules], quietly=True)
            for engine in (self._engines.writer, self._engines.reader):
                event.listen(engine, "do_connect", self._connect)
            self.app = create_app(settings, modules=modules, engines=self._engines)
            stack.callback(shutdown_lifespans)
            self.client = stack.enter_context(get_client(cast(Any, self.app)))
            for built in self.app.state.parts.modules:
                if built.module.bootstrap is not None:
                    run_call(partial(built.module.bootstrap, built.service, settings))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def copy(self) -> Iterator[None]:
        """In this block requests go to a copy of the world, which nobody has changed yet."""
        self._engines.close()
        with self._laboratory.clone(self._target) as copied:
            self._current = copied.database
            try:
                yield
            finally:
                self._engines.close()
                self._current = self._target.database

    def _connect(self, _dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        options["dbname"] = self._current

    def _environ(self, directory: Path) -> dict[str, str]:
        email, password = ADMIN
        return {
            **self._laboratory.environment(self._target),
            "EMPORIUM_ENV": "test",
            "EMPORIUM_DISPATCHER": "off",
            "EMPORIUM_LIMITS": "off",
            "EMPORIUM_THREADS": str(_THREADS),
            "EMPORIUM_DATA_DIR": str(directory),
            "EMPORIUM_SECRET_KEY": secrets.token_hex(32),
            "EMPORIUM_ADMIN_EMAIL": email,
            "EMPORIUM_ADMIN_PASSWORD": password,
        }


@contextmanager
def _quiet() -> Iterator[None]:
    """What an answer of 500 logs is a finding here, and no news for a terminal."""
    loggers = [logging.getLogger(name) for name in ("emporium", "kernel")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
