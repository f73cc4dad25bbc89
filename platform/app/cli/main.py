"""The entry point of the command `emporium`."""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """`emporium contracts` has to work on code that cannot be imported any more, and to say why; so it comes first."""
    contracts = sys.argv[1:2] == ["contracts"]
    importlib.import_module("app.cli.contracts" if contracts else "app.cli.root").main()
