"""The command `emporium`: what the platform offers, and what each module adds. Failures are told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from app.cli.commands import Shop, add_module_commands
from app.cli.contracts import contracts
from app.cli.db import db
from app.cli.events import events
from app.cli.modules import show_modules
from app.failures import leave, say, told
from app.run import run as run_shop
from app.run import serve as serve_shop
from app.signals import handling, interrupt
from app.work import work

_SETTINGS = (
    "Settings come from the environment and `.env`; `.env.example` shows all. EMPORIUM_DEBUG=1 shows the traceback of a"
    " failure."
)


def main() -> None:
    """The entry point."""
    with handling(interrupt):
        code = told(_command)
    leave(code)


def _command() -> None:
    with Shop() as shop:
        try:
            code = typer.main.get_command(build_cli(shop)).main(prog_name="emporium", standalone_mode=False)
        except typer.TyperException as error:
            _tell_usage(error)
            code = error.exit_code
        except typer.Abort:
            raise KeyboardInterrupt from None
    if code:
        raise SystemExit(code)


def _tell_usage(error: typer.TyperException) -> None:
    """What is wrong with the command line; nothing, when help has been shown instead."""
    message = error.format_message().strip()
    if message:
        context = getattr(error, "ctx", None)
        say(f"{message.rstrip('.')}. Try `{context.command_path if context else 'emporium'} --help`.")


def build_cli(shop: Shop) -> typer.Typer:
    root = typer.Typer(
        name="emporium",
        help="A department store in one process.",
        epilog=_SETTINGS,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    root.callback()(_options)
    for command in (run, serve, worker, modules):
        root.command()(command)
    root.add_typer(db, name="db")
    root.add_typer(events, name="events")
    root.add_typer(contracts, name="contracts")
    add_module_commands(root, shop)
    return root


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emporium {version('emporium')}")
        raise typer.Exit


def _options(
    version_: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A department store in one process."""


def run() -> None:
    """Open the shop: start a database when none is configured, migrate it, load sample data, serve.

    HOST and PORT choose the address, EMPORIUM_ADMIN_EMAIL and EMPORIUM_ADMIN_PASSWORD the first admin.
    """
    _exit(run_shop)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; default: PORT.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Processes; default: EMPORIUM_WORKERS, else one per core in production."),
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log a line per request.")] = False,
) -> None:
    """Serve a database that is migrated already."""
    _exit(lambda: serve_shop(host=host, port=port, workers=workers, access_log=access_log))


def worker() -> None:
    """Deliver events and run the periodic jobs, in a process that serves nobody. Any number may run beside `serve`."""
    _exit(work)


def modules() -> None:
    """List the modules: who to ask, what each needs, and how much of it there is."""
    show_modules()


def _exit(run: Callable[[], int]) -> None:
    code = run()
    if code:
        raise typer.Exit(code)
