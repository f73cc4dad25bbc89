"""The crash matrix: kill -9 at every commit and every gateway call of place, pay and refund; then the client repeats."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.database_fixtures import Clone
from tests.scenario import Scenario
from tests.shop_fixtures import Shop, shop_settings

from kernel.database.dispatching.dispatcher import Dispatcher

ROOT = Path(__file__).resolve().parents[2]
STEPS = {
    "ordering_place_order",
    "ordering_create_payment",
    "gateway.authorise",
    "pay.authorised",
    "gateway.capture",
    "pay.captured",
    "ordering_create_refund",
    "gateway.refund",
    "refund.succeeded",
}


def purchases_cut_off_everywhere(shop: Shop, database: Clone, product: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "url": database.application.render_as_string(hide_password=False),
        "superuser": database.superuser.render_as_string(hide_password=False),
        "name": database.name,
        "prefix": database.roles.prefix,
        "data_dir": str(shop_settings(database).data_dir),
        "product": product["id"],
        "buyer": shop.person().user_id,
        "admin": shop.admin().user_id,
    }
    command = [sys.executable, "-m", "tests.flows._power_cuts", json.dumps(spec)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_kill_9_at_every_commit_and_gateway_call_leaves_one_order_one_charge_and_every_event(
    shop: Shop, database: Clone, dispatcher: Dispatcher, scenario: Scenario
) -> None:
    lamp = shop.product(price="10.00", stock=1000)
    story = scenario.stimulate(lambda: purchases_cut_off_everywhere(shop, database, lamp))
    points, orders = story.result["points"], story.result["orders"]
    # Each step with a point on both sides and a name of its own: a new one joins the matrix by itself.
    assert {point.rpartition(":")[0] for point in points} == STEPS
    assert len(points) == len(set(points)) == 2 * len(STEPS)
    assert set(orders) == set(points)

    count = len(points) + 1
    dispatcher.run_jobs(due_only=False)
    story.await_deliveries()
    rows = shop.query("SELECT status, captured_amount, refunded_amount, refunding_amount, stock_reference FROM ordering.orders")
    assert [row[:4] for row in rows] == [("paid", Decimal(20), Decimal(10), Decimal(0))] * count
    for table, status in (("payments", "captured"), ("refunds", "succeeded")):
        assert shop.query(f"SELECT status, count(*) FROM ordering.{table} GROUP BY status") == [(status, count)]

    service: Any = shop.app.state.parts.services["ordering"]
    entries = [entry for entry in service._gateway._gateway.entries() if entry.order in {row[4] for row in rows}]
    assert sorted((entry.kind, entry.amount) for entry in entries) == sorted(
        [("capture", Decimal(20))] * count + [("refund", Decimal(10))] * count
    )
    assert shop.query("SELECT sum(quantity) FROM catalog.stock_movements WHERE product_id = :id", id=lamp["id"]) == [
        (1000 - count,)
    ]
    assert shop.stock_of(lamp) == 1000 - count
    names = shop.query("SELECT name, count(*) FROM kernel.outbox WHERE name LIKE 'ordering.%' GROUP BY name ORDER BY name")
    assert names == [(f"ordering.{name}", count) for name in ("OrderPaid", "OrderPlaced", "OrderRefunded")]
    assert shop.query("SELECT units_sold FROM catalog.products WHERE id = :id", id=lamp["id"]) == [(2 * count,)]
