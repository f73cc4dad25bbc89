"""The catalog's commands (`emporium catalog …`), the files that they read, and the sample catalogue."""

from catalog.cli.commands import build_cli
from catalog.cli.sample import load_sample

__all__ = ["build_cli", "load_sample"]
