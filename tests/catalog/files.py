"""`emporium catalog import` and `export` on real files, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from catalog.cli import build_cli
from catalog.service import DatabaseCatalogService
from kernel.pure.errors import DomainError


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def bad_lines(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("Line ")]


@dataclass(frozen=True)
class Files:
    """The commands on one service, and a directory to work in."""

    catalog: DatabaseCatalogService
    directory: Path

    def run(self, *arguments: str | Path) -> Outcome:
        result = CliRunner().invoke(build_cli(lambda: self.catalog), [str(argument) for argument in arguments])
        if isinstance(result.exception, DomainError):
            # `emporium` tells it in one sentence.
            return Outcome(1, result.stdout, f"{result.exception}\n")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def write(self, content: str | bytes, name: str = "products.csv") -> Path:
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def bring(self, content: str | bytes, *options: str | Path) -> Outcome:
        """Import a file of this content."""
        return self.run("import", self.write(content), *options)

    def export(self, *options: str) -> str:
        path = self.directory / "export.csv"
        outcome = self.run("export", path, *options)
        assert outcome.code == 0, outcome
        return path.read_bytes().decode()


def told(outcome: Outcome) -> str:
    """The counts of the report, without what stands in front of them."""
    return outcome.out.strip().rpartition(": ")[2]
