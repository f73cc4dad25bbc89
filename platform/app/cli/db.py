"""`emporium db …`: Alembic's commands in one sentence each, on the database that the settings name."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from app.contracts.gates.data.rights import check_rights
from app.drift import drift
from app.migrations import Branch, Target, branches, config, dormant_revisions, scratch, target_of
from app.modules import ModuleError, variables
from kernel.database.embedded import EmbeddedPostgresError
from kernel.database.provisioning import first_line, missing_restrictions
from kernel.database.roles import detect, role_states
from kernel.database.tables import SCHEMA as KERNEL
from kernel.settings import SettingsError, load_settings

db: Final = typer.Typer(no_args_is_help=True, help="Migrate the database; one branch of revisions per module.")

_RELATIVE: Final = re.compile(r"[+-]\d+\Z")


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Every failure that a person can do something about ends in one sentence and exit code 1."""
    try:
        yield
    except DBAPIError as error:
        sentence = f"The database refused: {first_line(error)}."
    except (CommandError, SettingsError, EmbeddedPostgresError, ModuleError) as error:
        sentence = str(error)
    else:
        return
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


@contextmanager
def _target(*, progress: bool = False) -> Iterator[Target]:
    with _one_sentence(), target_of(load_settings(known=variables())) as target:
        if progress:
            _show_progress()
        yield target


def _show_progress() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name == "emporium.migrations" or record.getMessage().startswith("Running"))
    for name in ("alembic.runtime.migration", "emporium.migrations"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


@contextmanager
def _connected(target: Target) -> Iterator[Connection]:
    with create_engine(target.url, poolclass=NullPool).connect() as connection:
        yield connection


def _branch(name: str) -> Branch:
    found = {branch.name: branch for branch in branches()}
    if name not in found:
        raise CommandError(f"There is no module {name}; there are {', '.join(found)}.")
    return found[name]


def _destination(verb: str, wanted: str) -> str:
    """`catalog` means `catalog@head` going up. What could mean any branch is refused."""
    names = [branch.name for branch in branches()]
    if not wanted.partition("@")[2 if "@" in wanted else 0]:
        raise CommandError(f"`{wanted}` names no revision: type `catalog@head`, for example.")
    if wanted in names:
        if verb == "upgrade":
            return f"{wanted}@head"
        raise CommandError(f"`{wanted}` does not say how far: type `emporium db downgrade {wanted}@-1` or `{wanted}@base`.")
    if verb == "downgrade" and re.fullmatch(r"heads|(.+@)?head", wanted):
        raise CommandError(f"`{wanted}` is where a branch goes up to: type `emporium db downgrade catalog@-1`, for example.")
    if wanted == "head" or _RELATIVE.match(wanted):
        everything = ", or `emporium db upgrade heads` for all of them" if verb == "upgrade" else ""
        raise CommandError(
            f"`{wanted}` does not say which branch: type `emporium db {verb} <branch>@{wanted}` with one of"
            f" {', '.join(names)}{everything}."
        )
    return wanted


@db.command(context_settings={"ignore_unknown_options": True})
def upgrade(
    target: Annotated[str, typer.Argument(help="`heads`, `catalog`, `catalog@+1` or a revision.")] = "heads",
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Bring the database to the newest revisions of all branches, or of one."""
    if sql:
        with _one_sentence():
            command.upgrade(config(), _destination("upgrade", target), sql=True)
        return
    with _one_sentence():
        destination = _destination("upgrade", target)
    with _target(progress=True) as database:
        command.upgrade(config(database), destination)
        typer.echo("The database is up to date." if target == "heads" else f"The database has reached {target}.")


@db.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    target: Annotated[str, typer.Argument(help="`catalog@-1`, `catalog@base`, or the revision to go back to.")],
) -> None:
    """Take revisions of one branch back."""
    with _one_sentence():
        destination = _destination("downgrade", target)
    with _target(progress=True) as database:
        try:
            command.downgrade(config(database), destination)
        except AssertionError as error:
            # All that Alembic says when a branch has no revision to take back.
            raise CommandError(f"There is nothing of {target} to take back: `emporium db current` shows what is.") from error


@db.command()
def revision(
    module: Annotated[str, typer.Argument(help="The module whose models have changed.")],
    message: Annotated[str, typer.Option("--message", "-m", help="What the revision does, in a few words.")],
    empty: Annotated[bool, typer.Option("--empty", help="Write an empty revision; compare nothing.")] = False,
) -> None:
    """Write the next revision of a module: what its models have and its migrations do not."""
    with _one_sentence():
        branch = _branch(module)
        written = _empty_revision(branch, message) if empty else None
    if not empty:
        with _target() as database, scratch(database) as clean:
            settings = config(clean)
            command.upgrade(settings, "heads")
            written = command.revision(settings, message, autogenerate=True, head=f"{module}@head")
    if isinstance(written, Script):
        typer.echo(f"Wrote {_shown(Path(written.path))}: read it, then run `emporium db upgrade`.")
    else:
        typer.echo(f"The models and the migrations of {module} agree: nothing to write.")


def _empty_revision(branch: Branch, message: str) -> object:
    settings = config()
    if any(branch.name in script.branch_labels for script in ScriptDirectory.from_config(settings).walk_revisions()):
        return command.revision(settings, message, head=f"{branch.name}@head")
    return command.revision(settings, message, head="base", branch_label=branch.name, version_path=str(branch.folder))


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@db.command()
def check(
    live: Annotated[bool, typer.Option("--live", help="Compare the configured database instead of a clean one.")] = False,
) -> None:
    """Compare every module's models with its migrations, triggers and functions too (on a clean database, dropped again)."""
    with _target() as database:
        if live:
            _compare(database, live=True)
        else:
            with scratch(database) as clean:
                command.upgrade(config(clean), "heads")
                _compare(clean)
    typer.echo("The models and the migrations agree.")


def _compare(database: Target, *, live: bool = False) -> None:
    with ExitStack() as stack:
        empty: Target | None = None
        try:
            empty = stack.enter_context(scratch(database))
        except CommandError as error:
            if not live:
                raise
            typer.echo(f"{error} Until then triggers, functions and rights are not compared.", err=True)
        differences = drift(database, empty)
    if differences:
        told = "".join(f"\n  {found.place}: {found.what}" for found in differences)
        raise CommandError(
            "The models and the migrations differ; `emporium db revision <module> -m …` writes the missing revision, all but"
            f" triggers and functions.{told}"
        )


@db.command()
def history(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show files and full descriptions.")] = False,
) -> None:
    """List the revisions of all branches, newest first."""
    with _one_sentence():
        command.history(config(), verbose=verbose)


@db.command()
def current() -> None:
    """Show how far each branch of the database is."""
    table = Table("branch", "at", "newest", "revision", box=None)
    with _target() as database, _connected(database) as connection:
        at = set(MigrationContext.configure(connection, opts={"version_table_schema": KERNEL}).get_current_heads())
        script = ScriptDirectory.from_config(config(database))
        for branch in branches():
            line = [known for known in script.walk_revisions() if branch.name in known.branch_labels]
            here = next((known for known in line if known.revision in at), None)
            at.discard(here.revision if here else "")
            newest = line[0].revision if line else "-"
            table.add_row(branch.name, here.revision if here else "-", newest, here.doc if here else "not migrated")
    Console().print(table)
    dormant = dormant_revisions()
    for revision in sorted(at & dormant.keys()):
        typer.echo(f"The branch of {dormant[revision]}, which is switched off (EMPORIUM_MODULES), stays at {revision}.")
    if at := at - dormant.keys():
        typer.echo(f"The database is also at {', '.join(sorted(at))}, which this code does not have.")


@db.command()
def roles(
    sql: Annotated[bool, typer.Option("--sql", help="Print the script for the administrator.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare owners, grants and memberships with the modules.")] = False,
) -> None:
    """Show whether PostgreSQL keeps the modules apart (roles, their logins), and why not."""
    names = [branch.name for branch in branches()]
    if check:
        _check_rights(names)
        return
    if sql:
        with _one_sentence(), target_of(load_settings(known=variables()), start=False) as database:
            typer.echo(database.plan(names, roles=True).script())
        return
    with _target() as database, _connected(database) as connection:
        wall = detect(connection, database.names, names, login=database.application)
        table = Table("module", "role", "exists", f"{database.application} may use it", box=None)
        for state in role_states(connection, database.names, names, login=database.application):
            table.add_row(state.module, state.role, _yes(state.exists), _yes(state.settable))
        missing = missing_restrictions(connection, database.plan(names, roles=True))
    Console().print(table)
    typer.echo(f"The wall between the modules is {'on' if wall.on else 'off'}: {wall.reason}.")
    if missing:
        typer.echo("A way around it is left: PUBLIC may still use set_config, plpgsql, sql or temporary tables.")
    if not wall.on or missing:
        typer.echo("`emporium db roles --sql` prints what the administrator has to run.")


def _check_rights(names: list[str]) -> None:
    """What the gate `data` says of a database of its own, said of the real one. Exit code 1 when something differs."""
    with _target() as database, _connected(database) as connection:
        wall = detect(connection, database.names, names, login=database.application)
        found = list(check_rights(connection, database.plan(names, roles=True))) if wall.on else []
    for finding in found:
        typer.echo(f"{finding.where}: {finding.what} Fix: {finding.fix}")
    if not wall.on:
        typer.echo(f"The wall between the modules is off: {wall.reason}.")
    elif not found:
        typer.echo("Owners, grants, default privileges and memberships are as the modules say.")
    if found or not wall.on:
        raise typer.Exit(1)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
