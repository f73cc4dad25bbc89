"""A program that buys (place, pay, refund) and is killed at its first fault point, then at its second, … and then finishes.

python -m tests.flows._power_cuts '{"url": …, "superuser": …, "name": …, "prefix": …, "data_dir": …, "product": …, …}'

Prints one line of JSON: the fault points of one purchase, and the order of each purchase that was cut off and finished later.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url
from starlette.testclient import TestClient
from tests.database_fixtures import Clone
from tests.shop_fixtures import Shop, shop_settings

from app.application import create_app
from kernel.database.roles import RoleNames
from kernel.pure import faults
from kernel.pure.principal import ADMIN, Principal

SKU_QUANTITY: Final = 2


class Purchases:
    """Purchases of one product by one buyer; each knows its requests by their keys, so it can be gone on with."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec
        url, superuser = make_url(spec["url"]), make_url(spec["superuser"])
        self.clone = Clone(
            name=spec["name"], application=url, migrator=url, superuser=superuser, roles=RoleNames(spec["prefix"])
        )
        self.buyer = Principal(user_id=spec["buyer"], roles=frozenset(), epoch=1)
        self.admin = Principal(user_id=spec["admin"], roles=frozenset({ADMIN}), epoch=1)

    def make(self, number: int) -> int:
        """The three requests of a purchase, in an application of its own; answers the order's id."""
        settings = shop_settings(self.clone, EMPORIUM_DATA_DIR=self.spec["data_dir"], EMPORIUM_DISPATCHER="off")
        app: Any = create_app(settings)
        with TestClient(app) as http:
            shop = Shop(app, http, app.state.engines, None)  # type: ignore[arg-type] # looks at nothing
            product = {"id": self.spec["product"]}
            placed = shop.place(self.buyer, (product, SKU_QUANTITY), key=f"place-{number}")
            _require(placed)
            path = f"/api/v1/orders/{placed.json()['id']}"
            pay = shop.headers(self.buyer, idempotency_key=f"pay-{number}")
            _require(http.post(f"{path}/payments", json={"method": "card"}, headers=pay))
            refund = shop.headers(self.admin, idempotency_key=f"refund-{number}")
            items = [{"product_id": product["id"], "quantity": 1, "restock": True}]
            _require(http.post(f"{path}/refunds", json={"items": items}, headers=refund))
            return int(placed.json()["id"])


def _require(answer: Any) -> None:
    if answer.status_code != 201:
        raise SystemExit(f"{answer.request.url.path}: {answer.status_code} {answer.text}")


def in_a_child(act: Callable[[], object], *, result: Path, **environ: str) -> int:
    """Do it in a copy of this process, which has no connections yet; answers its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        setattr(faults, "_faults", faults.Faults({"EMPORIUM_ENV": "test", **environ}))  # noqa: B010 -- it is Final
        code = 1
        try:
            result.write_text(json.dumps(act()))
            code = 0
        except SystemExit as error:
            print(error, file=sys.stderr, flush=True)  # noqa: T201
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    purchases = Purchases(json.loads(sys.argv[1]))
    with tempfile.TemporaryDirectory() as directory:
        record, result = Path(directory, "points"), Path(directory, "result")
        if in_a_child(lambda: purchases.make(0), result=result, EMPORIUM_FAULT_RECORD=str(record)):
            raise SystemExit("The purchase that is recorded failed.")
        points = record.read_text().split()
        orders: dict[str, int] = {}
        for number, point in enumerate(points, start=1):
            killed = in_a_child(lambda number=number: purchases.make(number), result=result, EMPORIUM_FAULT=point)  # type: ignore[misc] # bound now
            if killed != -signal.SIGKILL:
                raise SystemExit(f"{point} did not kill the process: it ended with {killed}.")
            if in_a_child(lambda number=number: purchases.make(number), result=result):  # type: ignore[misc] # bound now
                raise SystemExit(f"After {point} the purchase could not be finished.")
            orders[point] = int(result.read_text())
    print(json.dumps({"points": points, "orders": orders}))  # noqa: T201


if __name__ == "__main__":
    main()
