"""The entry point of the command `emporium`."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType


def main() -> None:
    """`emporium contracts` has to work on code that cannot be imported any more, and to say why; so it comes first."""
    contracts = sys.argv[1:2] == ["contracts"]
    command = _imported("app.cli.contracts" if contracts else "app.cli.root")
    if not contracts:
        # The checks keep nearly all that they read to their end, which is near.
        gc.enable()
    command.main()


def _imported(name: str) -> ModuleType:
    """What is imported stays: a collector that looks at it again and again takes a third of the time of a start."""
    gc.disable()
    module = importlib.import_module(name)
    gc.freeze()
    return module
