"""`emporium events …`: deliveries that wait or were given up, and what to do with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from app.modules import variables
from app.opening import database_of, open_engines, require_migrated
from kernel.database.dispatching.letters import Letters
from kernel.pure.clock import SystemClock
from kernel.pure.values import MAX_ID
from kernel.settings import load_settings

events: Final = typer.Typer(no_args_is_help=True, help="Look after events that wait to be delivered, or were given up.")


@contextmanager
def _letters() -> Iterator[Letters]:
    with database_of(load_settings(known=variables())) as settings:
        engines = open_engines(settings, [], quietly=True)
        try:
            require_migrated(engines)
            yield Letters(engines.database("kernel"), SystemClock())
        finally:
            engines.close()


@events.command("list")
def list_(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
) -> None:
    """List the deliveries that are not done, oldest first."""
    with _letters() as letters:
        counts, rows = letters.counts(), letters.undelivered(dead_only=dead, limit=limit)
    if rows:
        table = Table(
            "Id", "Event", "About", "Listener", "Status", "Attempts", "Next", "Last error", box=None, header_style="bold"
        )
        for row in rows:
            due = "-" if row.status == "dead" else _shown(row.next_attempt_at)
            cells = (row.name, row.aggregate, row.listener, row.status, str(row.attempts), due, row.last_error or "-")
            table.add_row(str(row.outbox_id), *cells)
        # For a file or a pipe, wide enough that no row breaks.
        Console(width=None if sys.stdout.isatty() else 400, markup=False).print(table)
    told = [f"{counts.get(status, 0)} {status}" for status in ("pending", "leased", "dead")]
    typer.echo(f"{', '.join(told)}.")


@events.command()
def show(event: Annotated[int, typer.Argument(min=1, max=MAX_ID, help="Its id, as `list` shows it.")]) -> None:
    """Show one event, its payload and all its deliveries as JSON."""
    with _letters() as letters:
        found = letters.show(event)
    if found is None:
        typer.echo(f"There is no event {event}.", err=True)
        raise typer.Exit(1)
    shown = {
        "id": found.id,
        "message_id": str(found.event_id),
        "name": found.name,
        "aggregate": found.aggregate,
        "occurred_at": found.occurred_at.isoformat(),
        "fanned_out_at": found.fanned_out_at and found.fanned_out_at.isoformat(),
        "payload": found.payload,
        "deliveries": [dict(row._mapping) for row in found.deliveries],
    }
    typer.echo(json.dumps(shown, indent=2, default=_shown))


@events.command()
def resubmit(
    event: Annotated[
        int | None, typer.Argument(min=1, max=MAX_ID, help="Its id; without one, choose with --listener or --all.")
    ] = None,
    listener: Annotated[str | None, typer.Option(help="Only those to this listener.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
) -> None:
    """Try dead letters again, with all their attempts. What was delivered is left alone."""
    if event is None and listener is None and not everything:
        raise typer.BadParameter("name an event, a --listener, or --all")
    if listener is not None and not listener.isascii():
        raise typer.BadParameter("no listener has such a name; `emporium events list --dead` shows them")
    with _letters() as letters:
        count = letters.resubmit(outbox_id=event, listener=listener)
    typer.echo(f"{count} dead letter{'' if count == 1 else 's'} will be tried again.")
    if count == 0:
        raise typer.Exit(1)


@events.command()
def purge(
    days: Annotated[int, typer.Option(min=0, max=36_500, help="Keep those of so many days.")] = 30,
    dead: Annotated[bool, typer.Option("--dead", help="Also those with dead letters.")] = False,
) -> None:
    """Delete old events whose deliveries are all done."""
    with _letters() as letters:
        count = letters.purge(before=SystemClock().now() - timedelta(days=days), dead=dead)
    typer.echo(f"{count} event{'' if count == 1 else 's'} deleted.")


def _shown(value: object) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
