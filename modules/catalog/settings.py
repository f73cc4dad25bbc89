"""What can be set for the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernel.pure.values import MAX_QUANTITY
from kernel.settings import SettingsError, read_variables

_LOW_STOCK: Final = "EMPORIUM_LOW_STOCK"
VARIABLES: Final = (_LOW_STOCK,)


def load_low_stock(environ: Mapping[str, str] | None = None) -> int:
    """How few can be left of a product when it runs low, from the environment and `.env`. Errors: SettingsError."""
    given = read_variables(environ=environ).get(_LOW_STOCK, "5")
    if given.isascii() and given.isdigit() and len(given) <= 10 and int(given) <= MAX_QUANTITY:
        return int(given)
    problem = (
        f"{_LOW_STOCK} must be a whole number from 0 to {MAX_QUANTITY:,} (it is {given[:40]!r}), for example {_LOW_STOCK}=5."
    )
    raise SettingsError([problem])
