"""The meter: what a request or a call takes on the wire, beside what its module has written down for it.

meter       the shop's application once more, wall on, behind a wire that counts

    def test_reading_a_product(meter: Meter) -> None:
        meter.spend("GET", f"/api/v1/products/{lamp['id']}")

Round trips are compared with `modules/<module>/contracts/budgets.toml`, and noted for `emporium contracts check`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import anyio.to_thread
import pytest
from sqlalchemy import text
from starlette.types import Message
from tests.asgi import ask
from tests.database_fixtures import Clone
from tests.shop_fixtures import Shop, shop_settings
from tests.wire import Wire

from app.application import create_app
from app.contracts.gates.work.budgets import file_of, read_budgets
from app.contracts.gates.work.measuring import Measured, note
from kernel.database.engines import Engines
from kernel.http.executor import HopExecutor
from kernel.pure.principal import Principal

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass
class Cost:
    """What one request took, seen from outside."""

    status: int = 0
    operation: str = ""
    messages: list[str] = field(default_factory=list)
    hops: int = 0
    other_hops: int = 0
    held: list[int] = field(default_factory=list)
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Meter:
    """`ask` asserts nothing; `spend` and `call` assert the budget."""

    app: Any
    engines: Engines
    wire: Wire
    shop: Shop

    def spend(
        self, method: str, path: str, caller: Principal | None = None, body: Any = None, *, status: int = 200, **headers: str
    ) -> Cost:
        """A request on its success path: one hop, nothing held while the answer is sent, and within the route's budget."""
        cost = self.ask(method, path, caller, body, **headers)
        assert_shape(cost, status)
        _within("routes", cost.operation.partition("_")[0], cost.operation, cost.messages)
        return cost

    def call(self, module: str, method: str, run: Callable[[Any], T]) -> T:
        """A call of an interface method in its caller's transaction, as `run(service)`: within the method's budget."""
        service = self.app.state.parts.services[module]
        with self.engines.database("kernel").transaction() as session:
            session.execute(text("SELECT 1"))
            first = len(self.wire.messages)
            answer = run(service)
            messages = self.wire.messages[first:]
        _within("methods", module, method, messages)
        return answer

    def ask(self, method: str, path: str, caller: Principal | None = None, body: Any = None, **headers: str) -> Cost:
        """One request. A body of bytes is sent as it is, a mapping as JSON, or as a form with `content_type=FORM`."""
        return asyncio.run(self._ask(method, path, caller, body, headers))

    async def _ask(self, method: str, path: str, caller: Principal | None, body: Any, headers: dict[str, str]) -> Cost:
        sent = {"content-type": "application/json", **self.shop.headers(caller, **headers)}
        held: list[int] = []

        def look(_: Message) -> None:
            pools: Any = (self.engines.writer.pool, self.engines.reader.pool)
            held.append(sum(pool.checkedout() for pool in pools))

        executor: HopExecutor = self.app.state.executor
        before, others, first = executor.hops, _OTHER_HOPS.count, len(self.wire.messages)
        content = _encoded(body, sent["content-type"])
        answer = await ask(self.app, method, path, body=content, headers=sent, on_message=look)
        return Cost(
            status=answer.status,
            operation=answer.operation,
            messages=self.wire.messages[first:],
            hops=executor.hops - before,
            other_hops=_OTHER_HOPS.count - others,
            held=held,
            body=answer.body,
            headers=answer.headers,
        )


FORM: Final = "application/x-www-form-urlencoded"


def _encoded(body: Any, content_type: str) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return urlencode(body).encode() if content_type == FORM else json.dumps(body).encode()


def assert_shape(cost: Cost, status: int) -> None:
    """What every request keeps: one hop, no other thread, no connection held while the answer is sent."""
    assert cost.status == status, cost.body
    assert (cost.hops, cost.other_hops) == (1, 0)
    assert set(cost.held) == {0}


def _within(table: str, module: str, name: str, messages: list[str]) -> None:
    took = Measured(module=module, table=table, name=name, round_trips=len(messages), repeated=_repeated(messages))
    if note(took):
        # Whoever asked for it judges: the others in this test are to be measured, too.
        return
    budget = getattr(read_budgets(ROOT, module), table).get(name)
    assert budget is not None, f"{name} has no budget: write it into {file_of(module)}"
    assert len(messages) <= budget, f"{name} took {len(messages)} round trips, its budget is {budget}:\n" + "\n".join(messages)


def _repeated(messages: list[str]) -> str:
    """The statement that was sent most often, if more than once; short, and without its values."""
    told = Counter(re.sub(r"\d+|'[^']*'", "?", " ".join(message.rpartition(";")[2].split()))[:60] for message in messages)
    return next((f"{statement}…" for statement, times in told.most_common(1) if times > 1), "")


class _OtherHops:
    """Counts what goes to the framework's own thread pool."""

    count = 0


_OTHER_HOPS = _OtherHops()


@dataclass(frozen=True)
class _Behind:
    """An application behind a wire."""

    app: Any
    engines: Engines
    wire: Wire


@pytest.fixture(scope="session")
def _behind() -> Iterator[dict[tuple[str, ...], _Behind]]:
    """By database and modules: an application takes half a second to build."""
    kept: dict[tuple[str, ...], _Behind] = {}
    yield kept
    for behind in kept.values():
        behind.app.state.executor.shutdown()
        behind.engines.close()
        behind.wire.close()


@pytest.fixture
def meter(
    shop: Shop,
    database: Clone,
    engines: Engines,
    monkeypatch: pytest.MonkeyPatch,
    _behind: dict[tuple[str, ...], _Behind],
) -> Meter:
    """With the modules of `shop`."""
    original = anyio.to_thread.run_sync

    async def counted(*args: Any, **kwargs: Any) -> Any:
        _OTHER_HOPS.count += 1
        return await original(*args, **kwargs)

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    modules = [built.module for built in shop.app.state.parts.modules]
    key = (database.name, *(module.name for module in modules))
    if key not in _behind:
        proxy = Wire(engines.url)
        behind = Engines(proxy.url, threads=2, roles=engines.roles)
        _behind[key] = _Behind(create_app(shop_settings(database), engines=behind, modules=modules), behind, proxy)
    found = _behind[key]
    found.wire.mend()
    # The first use of an engine asks the server for its version and settings.
    for engine in (found.engines.writer, found.engines.reader):
        engine.connect().close()
    return Meter(found.app, found.engines, found.wire, shop)
