"""Violations of the gate `work`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.planting import Append, Delete, Edit, Planting, Replace

ORDERS: Final = "modules/ordering/crud/orders.py"
SHIPPING: Final = "modules/ordering/service/shipping.py"
CATALOG: Final = "modules/catalog/contracts/budgets.toml"


def _static(claim: str, rule: str, *edits: Edit, says: str = "", fix: str = "", where: str = "") -> Planting:
    return Planting(claim=claim, rule=f"work/{rule}", edits=edits, where=where or edits[-1].file, says=says, fix=fix)


_TRANSACTIONS: Final = [
    _static(
        "a_commit_in_crud",
        "commit",
        Append(file=ORDERS, text="def _done(session: Session) -> None:\n    session.commit()"),
        says="The crud of ordering begins or ends a transaction itself: `.commit`.",
        fix="commits at its end",
    ),
    _static(
        "a_rollback_under_another_name",
        "commit",
        Append(
            file="modules/ordering/crud/refunds.py",
            text="def _undo(session: Session) -> None:\n    end = session.rollback\n    end()",
        ),
        says="`.rollback`",
    ),
    _static(
        "a_savepoint_by_hand_in_a_service",
        "commit",
        Append(
            file=SHIPPING,
            text="def _try(self: ShippingUseCases) -> None:\n    with self._database.transaction() as session:\n"
            '        getattr(session, "begin_nested")()',
        ),
        says='The service of ordering begins or ends a transaction itself: getattr(…, "begin_nested")',
        fix="`with self._database.attempt()` is the savepoint",
    ),
    _static(
        "a_commit_as_a_statement",
        "commit",
        Append(file="modules/catalog/crud/stock.py", text='_DONE = text(" commit")'),
        says='"COMMIT"',
    ),
    _static(
        "a_commit_after_each_statement",
        "commit",
        Append(
            file="modules/users/crud/roles.py",
            text="def _each(session: Session) -> object:\n"
            '    return session.connection().execution_options(isolation_level="AUTOCOMMIT")',
        ),
        says="`isolation_level=`",
    ),
    _static(
        "a_transaction_in_crud",
        "transaction-outside-service",
        Append(
            file="modules/catalog/crud/products.py",
            text="def _open(database: Any) -> None:\n    with database.transaction() as session:\n"
            "        session.execute(_READ)",
        ),
        says="The crud of catalog opens `transaction()`",
        fix="pass the session on to crud",
    ),
    _static(
        "a_read_in_a_router",
        "transaction-outside-service",
        Append(
            file="modules/ordering/router/__init__.py",
            text="def _look(service: DatabaseOrderingService) -> None:\n    with service._database.read():\n        pass",
        ),
        says="The router of ordering opens a read of the database",
    ),
    _static(
        "a_session_of_its_own",
        "transaction-outside-service",
        Append(
            file="modules/users/service/passwords.py",
            text="def _session(c: object) -> object:\n    from sqlalchemy import orm\n\n    return orm.sessionmaker(c)",
        ),
        says="The service of users makes a sessionmaker of its own",
    ),
    _static(
        "a_session_on_the_service",
        "session-kept",
        Append(
            file="modules/catalog/service/exporting.py",
            text="def _keep(self: ExportUseCases) -> None:\n    with self._database.transaction() as session:\n"
            "        mine = session\n        self.session = mine",
        ),
        says="The service of catalog lets a session outlive its block: `self.session`",
        fix="Hold the `Database` handle instead",
    ),
    _static(
        "a_session_that_is_returned",
        "session-kept",
        Append(
            file="modules/ordering/service/expiry.py",
            text="def _open(self: ExpiryUseCases) -> object:\n    with self._database.read() as connection:\n"
            "        return connection, 1",
        ),
        says="it is returned",
    ),
    _static(
        "a_generator_in_a_transaction",
        "session-kept",
        Append(
            file="modules/users/service/accounts.py",
            text="def _draw(self: Any) -> Any:\n    with self._database.transaction() as session:\n"
            "        yield from crud.all(session)",
        ),
        says="a generator that yields inside of the block",
    ),
    _static(
        "a_session_in_a_constructor",
        "session-kept",
        Append(
            file="modules/ordering/service/refunds.py",
            text="class _Books:\n    def __init__(self, *, session: Session) -> None:\n        pass",
        ),
        says="the argument `session` of _Books",
    ),
    _static(
        "a_generator_dependency",
        "generator-dependency",
        Append(file="modules/users/router/gate.py", text="def opened():  # type: ignore\n    yield 1"),
        Append(
            file="modules/users/router/administration.py",
            text="from fastapi import Depends as Wants\n\nfrom users.router.gate import opened\n\n"
            "Opened = Annotated[int, Wants(opened)]",
        ),
        says="A route of users depends on the generator opened",
        fix="a client would hold a 201 for a commit that failed",
    ),
    _static(
        "a_provider_asked_in_a_transaction",
        "outside-call-in-transaction",
        Append(
            file=SHIPPING,
            text="def _ask(self: ShippingUseCases) -> None:\n    gateway = self._require_gateway()\n"
            '    with self._database.transaction(label="ask"):\n        gateway.look_up(key="k")',
        ),
        says="gateway.look_up leaves the process inside of `with self._database.transaction(label='ask')`",
        fix="End the block first",
    ),
    _static(
        "a_provider_asked_by_what_is_called_in_a_transaction",
        "outside-call-in-transaction",
        Append(
            file="modules/ordering/service/reconciling.py",
            text="def _all(self: ReconcilingUseCases) -> None:\n    with self._database.transaction():\n"
            "        self._advance(1)",
        ),
        says="_advance leaves the process",
    ),
    _static(
        "a_web_request_while_a_connection_is_held",
        "outside-call-in-transaction",
        Append(
            file="modules/catalog/service/stock.py",
            text="def _web(self: Any) -> None:\n    import httpx as web\n\n    with self._database.read():\n"
            '        web.get("https://example.com")',
        ),
        says="web.get leaves the process",
    ),
]

_LOADING: Final = [
    _static(
        "a_lazy_relationship",
        "lazy-load",
        Append(
            file="modules/ordering/models.py",
            text="from sqlalchemy.orm import relationship\n\n\nclass Parcel(Base):\n"
            '    __tablename__ = "parcels"\n\n    id: Mapped[Id]\n'
            "    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id))\n    order: Mapped[Order] = relationship()",
        ),
        says="The relationship Parcel.order is loaded when it is touched",
        fix='Give it `lazy="raise"`',
    ),
    _static(
        "a_lazy_relationship_that_only_the_mapper_shows",
        "lazy-load",
        Append(
            file="modules/users/models.py",
            text="import sqlalchemy.orm\n\n_link = sqlalchemy.orm.relationship\n\n\nclass Note(Base):\n"
            '    __tablename__ = "notes"\n\n    id: Mapped[Id]\n'
            "    user_id: Mapped[int] = mapped_column(ForeignKey(Account.id))\n"
            '    user: Mapped[Account] = _link(lazy="selectin")',
        ),
        says="The relationship Note.user is loaded when it is touched",
    ),
    _static(
        "a_deferred_column",
        "lazy-load",
        Replace(file="modules/catalog/models.py", old="        deferred_raiseload=True,\n", new=""),
        says="The deferred column Product.search is read when it is touched",
        fix="`deferred_raiseload=True`",
    ),
    _static(
        "a_row_that_is_read_again",
        "lazy-load",
        Append(
            file="modules/users/crud/accounts.py",
            text="def _again(session: Session, account: Account) -> None:\n    session.refresh(account)",
        ),
        says="`session.refresh` in _again reads a row once more",
        fix="by RETURNING",
    ),
]

_BUDGETS: Final = [
    _static(
        "a_route_without_a_budget",
        "no-budget",
        Replace(
            file="modules/catalog/router.py",
            old="    _add_movements(router, service)\n    return router",
            new='    @router.get("/newest", allow=ANYONE, summary="Read the newest product")\n'
            "    def read_newest() -> ProductBody:\n        raise NotImplementedError\n\n"
            "    _add_movements(router, service)\n    return router",
        ),
        says="The route GET /api/v1/products/newest has no budget of round trips",
        fix="write `catalog_read_newest = <round trips>` below [routes] in modules/catalog/contracts/budgets.toml",
    ),
    _static(
        "a_method_without_a_budget",
        "no-budget",
        Replace(file=CATALOG, old="release = 1\n", new=""),
        where="modules/catalog/interface.py",
        says="The interface method CatalogService.release has no budget",
        fix="below [methods]",
    ),
    _static(
        "a_budget_of_a_route_that_is_gone",
        "no-budget",
        Replace(file=CATALOG, old="[methods]", new="catalog_burn_product = 3\n\n[methods]"),
        says="There is a budget for catalog_burn_product below [routes], but no such route",
        fix="Delete the line",
    ),
    _static(
        "a_budget_that_is_no_number",
        "no-budget",
        Replace(file="modules/users/contracts/budgets.toml", old="users_read_me = 1", new='users_read_me = "few"'),
        says="says users_read_me = 'few', which is no number of round trips",
    ),
]


def _live(claim: str, rule: str, edits: Sequence[Edit], *, where: str, says: str, fix: str = "") -> Planting:
    return Planting(claim=claim, rule=f"work/{rule}", edits=edits, where=where, says=says, fix=fix, live=True)


_MEASURED: Final = [
    _live(
        "a_statement_per_row_of_a_list",
        "over-budget",
        [
            Replace(
                file="modules/catalog/crud/products.py",
                old="    return list(connection.execute(statement, values))\n",
                new="    rows = list(connection.execute(statement, values))\n"
                '    return [connection.execute(_READ, {"product_id": row.id}).one() for row in rows]\n',
            )
        ],
        where="GET /api/v1/products",
        says="GET /api/v1/products (catalog_list_products) took 4 round trips, and its budget is 1.",
        fix="was sent more than once: one statement for all rows does it",
    ),
    _live(
        "a_statement_per_line_of_an_order",
        "over-budget",
        [
            Replace(
                file=ORDERS,
                old="    return session.execute(_PLACE, parameters).one()\n",
                new="    for _ in lines:\n"
                '        session.execute(text("SELECT id FROM ordering.orders WHERE id = 1")).all()\n'
                "    return session.execute(_PLACE, parameters).one()\n",
            )
        ],
        where="POST /api/v1/orders",
        says="(ordering_place_order) took",
        fix="SELECT id FROM ordering.orders",
    ),
    _live(
        "a_read_before_the_write_of_an_interface_method",
        "over-budget",
        [
            Replace(
                file="modules/catalog/crud/reservations.py",
                old="    return session.execute(_RESERVE, values).all()\n",
                new='    session.execute(text("SELECT 1 FROM catalog.reservations")).all()\n'
                "    return session.execute(_RESERVE, values).all()\n",
            )
        ],
        where="CatalogService.reserve",
        says="CatalogService.reserve took 2 round trips, and its budget is 1.",
        fix="raises the budget in modules/catalog/contracts/budgets.toml",
    ),
    _live(
        "a_route_that_no_test_asks",
        "unmeasured",
        [
            Replace(
                file="tests/catalog/test_budgets.py",
                old="""        meter.spend("DELETE", f"{PATH}/{lamp['id']}", meter.shop.admin(), status=204)\n""",
                new="        pass\n",
            )
        ],
        where=CATALOG,
        says="No test measured DELETE /api/v1/products/{product_id} (catalog_delete_product)",
        fix="Let a test in tests/catalog/test_budgets.py ask it once",
    ),
    _live(
        "a_module_without_measurements",
        "unmeasured",
        [Delete(file="tests/users/test_budgets.py")],
        where="modules/users/contracts/budgets.toml",
        says="No test measures what users costs",
        fix="Write tests/users/test_budgets.py",
    ),
]

PLANTINGS: Final[list[Planting]] = [*_TRANSACTIONS, *_LOADING, *_BUDGETS, *_MEASURED]
