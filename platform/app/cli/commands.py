"""Modules' commands: `emporium <module> …`, on services that are built when the first command asks for one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial, wraps
from typing import Any

import typer

from app.container import Parts, build
from app.modules import installed, variables
from app.opening import database_of, open_engines, require_migrated
from kernel.database.call import run_call
from kernel.settings import load_settings


class Shop:
    """The services of the configured (or embedded) database; everything is closed when the block ends."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._parts: Parts | None = None

    def __enter__(self) -> Shop:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def service(self, name: str) -> Any:
        if self._parts is None:
            self._parts = self._open()
        return self._parts.services[name]

    def _open(self) -> Parts:
        settings = self._stack.enter_context(database_of(load_settings(known=variables())))
        modules = installed()
        engines = open_engines(settings, [module.name for module in modules])
        self._stack.callback(engines.close)
        require_migrated(engines)
        return build(settings, engines, modules=modules)


def add_module_commands(root: typer.Typer, shop: Shop) -> None:
    for module in installed():
        if module.cli is not None:
            commands = module.cli(partial(shop.service, module.name))
            _run_as_calls(commands)
            root.add_typer(commands, name=module.name, help=module.summary, no_args_is_help=True, rich_help_panel="Modules")


def _run_as_calls(commands: typer.Typer) -> None:
    """Make each command one call, which the kernel runs again as a whole when it lost a race and stored nothing."""
    for command in commands.registered_commands:
        if command.callback is not None:
            command.callback = _as_call(command.callback)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _run_as_calls(group.typer_instance)


def _as_call(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def call(*arguments: Any, **options: Any) -> Any:
        return run_call(partial(callback, *arguments, **options))

    return call
