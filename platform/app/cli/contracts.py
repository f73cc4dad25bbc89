"""`emporium contracts …`: check every boundary between the modules, accept what changed, record a release."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from app.contracts.accepting import Refused, told
from app.contracts.accepting import accept as accept_promises
from app.contracts.gates import GATES
from app.contracts.released import FILE as RELEASED
from app.contracts.releasing import release as record_release
from app.contracts.report import FORMATS
from app.contracts.run import ROOT, Request, run
from app.signals import handling, interrupt

contracts: Final = typer.Typer(
    name="contracts",
    no_args_is_help=True,
    help="Check the boundaries between the modules, each finding with its fix.",
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    SARIF = "sarif"


def main() -> None:
    """The entry point when the code may be broken: nothing but the checks' own files is imported before a gate asks."""
    root = typer.Typer(name="emporium", add_completion=False, pretty_exceptions_enable=False)
    root.callback()(lambda: None)
    root.add_typer(contracts, name="contracts")
    try:
        # As by Ctrl-C: what the gates opened is closed, their database first of all.
        with handling(interrupt):
            code = typer.main.get_command(root).main(prog_name="emporium", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message().strip().rstrip(".")
        if message:
            _say(f"{message}. Try `emporium contracts --help`.")
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _say("Stopped.")
        code = 130
    except OSError as error:
        # What the gates meet is a finding; this is the report.
        _say(f"{error.filename or 'The report'} cannot be written: {error.strerror}.")
        code = 2
    sys.exit(code or 0)


@contracts.callback()
def _every_module() -> None:
    # What somebody has switched off in `.env` is checked all the same.
    os.environ["EMPORIUM_MODULES"] = "all"


@contracts.command()
def check(
    gate: Annotated[
        list[str] | None, typer.Option(help=f"Only this gate; may be given again: {', '.join(GATES)}.", metavar="NAME")
    ] = None,
    module: Annotated[
        list[str] | None, typer.Option(help="Only findings of this module; may be given again.", metavar="NAME")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print the report.")] = Format.TEXT,
    output: Annotated[Path | None, typer.Option(help="Write the report to this file instead.", dir_okay=False)] = None,
    static: Annotated[bool, typer.Option("--static", help="Only what needs no database: under half a minute.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Full sizes: every subset's tests, more replayed requests.")] = False,
) -> None:
    """Run the gates and print one report. Exit code 1 when a contract is broken."""
    if output is not None and not output.parent.is_dir():
        _say(f"There is no directory {output.parent} for the report.")
        raise typer.Exit(2)
    try:
        outcome = run(Request(gates=gate or (), modules=module or (), live=not static, full=full))
    except ValueError as error:
        _say(str(error))
        raise typer.Exit(2) from None
    report = FORMATS[format_](outcome)
    if output is None:
        typer.echo(report)
    else:
        output.write_text(report + "\n", encoding="utf-8")
        typer.echo(f"{len(outcome.findings)} violations; the report is in {output}.")
    if outcome.findings:
        raise typer.Exit(1)


@contracts.command()
def accept(
    modules: Annotated[list[str] | None, typer.Argument(help="Whose snapshots to rewrite.", metavar="MODULE...")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Of every module.")] = False,
) -> None:
    """Rewrite what modules promise (their snapshots) to what their code promises now, and print what changed.

    After a release, a breaking change needs an entry in the module's contracts/breaking.toml; without one nothing is written.
    """
    if bool(modules) == all_:
        _say("Name the modules, or say --all.")
        raise typer.Exit(2)
    try:
        accepted = accept_promises(ROOT, modules or ())
    except ValueError as error:
        _say(str(error))
        raise typer.Exit(2) from None
    except Refused as refused:
        _refuse(refused)
    typer.echo("\n".join(told(accepted)))


@contracts.command()
def release(
    static: Annotated[bool, typer.Option("--static", help="Check only what needs no database.")] = False,
) -> None:
    """Record in docs/RELEASED.toml the revisions and snapshots that may not change unnoticed from now on.

    Only when every contract holds. Commit the file with the release.
    """
    try:
        made = record_release(ROOT, live=not static)
    except Refused as refused:
        _refuse(refused)
    revisions, snapshots = (sum(len(each) for each in groups.values()) for groups in (made.revisions, made.snapshots))
    typer.echo(f"Recorded in {RELEASED}: {revisions} revisions, {snapshots} snapshots, {len(made.debts)} debts. Commit it.")


def _refuse(refused: Refused) -> NoReturn:
    for reason in refused.reasons:
        _say(reason)
    _say("Nothing was written.")
    raise typer.Exit(1)


def _say(sentence: str) -> None:
    # A terminal that is gone must not turn a verdict into a traceback.
    try:
        print(sentence, file=sys.stderr, flush=True)
    except OSError:
        os._exit(1)
