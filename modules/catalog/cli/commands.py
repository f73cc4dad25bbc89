"""`emporium catalog import` and `export`: files in, files out, and what to say about it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from catalog.cli.reading import ProductFile, UnreadableFile
from catalog.interface import ProductStatus
from catalog.service import BadLine, DatabaseCatalogService, ImportResult, ProductLine
from kernel.module import ServiceGetter

_SHOWN: Final = 50
"""How many mistakes the screen shows; `--report` has all."""

_REPORT: Final = ("line", "column", "reason")

Source = Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a header.", show_default=False)]
Report = Annotated[Path | None, typer.Option(metavar="FILE", help="Write every bad line to a CSV file: line, column, reason.")]
Skip = Annotated[bool, typer.Option("--skip-bad-lines", help="Import the good lines, whatever the others say.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and store nothing.")]
Target = Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write; `-` is the standard output.")]
Status = Annotated[ProductStatus | None, typer.Option(help="Only products of this status.")]


def build_cli(get_service: ServiceGetter) -> typer.Typer:
    cli = typer.Typer(name="catalog", help="Products, prices and stock.", no_args_is_help=True)

    @cli.callback()
    def catalog() -> None:
        """Products, prices and stock."""

    @cli.command("import")
    def import_(file: Source, report: Report = None, skip_bad_lines: Skip = False, dry_run: DryRun = False) -> None:
        """Create or update products from a CSV file of any size, all of them or none.

        Columns, in any order: sku, name, description, price, stock, status. Products are found by sku; a new one needs a
        name and a price. An empty cell leaves things as they are, except for description, which it removes. The stock is a
        count: what differs from it becomes a movement.
        """
        with ExitStack() as stack:
            source = _opened(stack, file)
            mistakes = Mistakes(_report_file(stack, report, file))
            products = ProductFile(source, str(file))
            progress = stack.enter_context(_progress())
            result = get_service().import_products(
                lines=_shown(products, progress, file.stat().st_size),
                describes=products.describes,
                report=mistakes.add,
                skip_bad_lines=skip_bad_lines,
                dry_run=dry_run,
            )
        mistakes.show(report)
        typer.echo(_told(result, file, dry_run=dry_run))
        if result.bad and not skip_bad_lines:
            typer.echo("Nothing was stored: correct the bad lines, or leave them out with --skip-bad-lines.", err=True)
            raise typer.Exit(1)

    @cli.command()
    def export(file: Target = Path("-"), status: Status = None) -> None:
        """Write the products to a CSV file that `import` reads."""
        service: DatabaseCatalogService = get_service()
        if str(file) == "-":
            service.export_products(sink=sys.stdout.buffer, status=status)
            sys.stdout.buffer.flush()
            return
        with _replaced(file) as sink:
            service.export_products(sink=sink, status=status)

    return cli


class Mistakes:
    """Tells bad lines: the first ones on the screen, all of them in the report."""

    def __init__(self, report: Any | None) -> None:
        self._report = None if report is None else csv.writer(report, lineterminator="\n")
        self._first: list[BadLine] = []
        self._count = 0
        if self._report is not None:
            self._report.writerow(_REPORT)

    def add(self, bad: BadLine) -> None:
        self._count += 1
        if self._count <= _SHOWN:
            self._first.append(bad)
        if self._report is not None:
            self._report.writerow((bad.line, bad.column, bad.reason))

    def show(self, report: Path | None) -> None:
        for bad in self._first:
            column = f", {bad.column}" if bad.column else ""
            typer.echo(f"Line {bad.line}{column}: {bad.reason}.", err=True)
        if self._count > _SHOWN:
            where = "--report FILE writes all of them" if report is None else f"{report} has all of them"
            typer.echo(f"… and {self._count - _SHOWN:,} more; {where}.", err=True)


def _opened(stack: ExitStack, file: Path) -> BinaryIO:
    try:
        return stack.enter_context(file.open("rb"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _unusable(file, error) from error


def _report_file(stack: ExitStack, report: Path | None, source: Path) -> Any | None:
    if report is None:
        return None
    if report.exists() and report.samefile(source):
        raise UnreadableFile(f"{report} is the file to import: write the report to another one.")
    try:
        return stack.enter_context(report.open("w", encoding="utf-8", newline=""))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _unusable(report, error) from error


def _unusable(file: Path, error: OSError) -> UnreadableFile:
    if isinstance(error, IsADirectoryError):
        return UnreadableFile(f"{file} is a directory, where a file is expected.")
    return UnreadableFile(f"There is no {file}.")


@contextmanager
def _replaced(file: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is complete: an export that fails leaves the one of yesterday."""
    part = file.with_name(f"{file.name}.part")
    if file.exists() and not file.is_file():
        # A device or a pipe; a directory says no.
        part = file
    try:
        with part.open("wb") as sink:
            yield sink
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _unusable(file, error) from error
    except BaseException:
        if part != file:
            part.unlink(missing_ok=True)
        raise
    if part != file:
        part.replace(file)


def _progress() -> Progress:
    """On a terminal only; pipes and logs get nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _shown(products: ProductFile, progress: Progress, size: int) -> Iterator[ProductLine | BadLine]:
    task = progress.add_task("Reading", total=size)
    for number, line in enumerate(products):
        if number % 1000 == 0:
            progress.update(task, completed=products.position)
        yield line
    progress.update(task, completed=size, description="Storing")


def _told(result: ImportResult, file: Path, *, dry_run: bool) -> str:
    counts: Iterable[tuple[int, str]] = (
        (result.created, "created"),
        (result.changed, "changed"),
        (result.unchanged, "unchanged"),
        (result.bad, "bad"),
    )
    verb = "Dry run of" if dry_run else "Import of"
    return f"{verb} {file}: {', '.join(f'{count:,} {what}' for count, what in counts)}."
