"""Reaching a neighbour without importing it: by what was handed in, and by the application."""

from __future__ import annotations

from typing import Final

from tests.planting import Append, Planting


def _reach(claim: str, file: str, text: str, says: str, fix: str) -> Planting:
    return Planting(
        claim=claim,
        rule="imports/private-reach",
        edits=[Append(file=file, text=text)],
        where=f"{file}:",
        says=says,
        fix=fix,
    )


_ORDERS: Final = "modules/ordering/service/orders.py"
REACHES: Final = [
    _reach(
        "a_neighbours_private_member_is_not_reached",
        _ORDERS,
        "def late(self: OrderUseCases) -> Any:\n    return self._catalog._database  # type: ignore[attr-defined]",
        "orders.py reaches `self._catalog._database`, which is private to another object",
        "of a neighbour one that its interface declares",
    ),
    _reach(
        "a_neighbours_private_member_is_not_reached_by_name",
        _ORDERS,
        "def late(catalog: object) -> Any:\n    return getattr(catalog, '_database').transaction()",
        "orders.py reaches `getattr(catalog, '_database')`",
        "Call a public method",
    ),
    _reach(
        "a_neighbours_private_member_is_not_replaced",
        "modules/catalog/listeners.py",
        "def late(publisher: Any) -> None:\n    setattr(publisher, '_hold', None)",
        "listeners.py reaches `setattr(publisher, '_hold', None)`",
        "Call a public method",
    ),
    _reach(
        "a_neighbours_members_are_not_reached_as_a_dictionary",
        _ORDERS,
        "def late(self: OrderUseCases) -> Any:\n    return self._catalog.__dict__['_clock']",
        "orders.py reaches `self._catalog.__dict__`",
        "Call a public method",
    ),
    _reach(
        "a_neighbours_variables_are_not_listed",
        "modules/ordering/service/shipping.py",
        "def late(catalog: object) -> Any:\n    return vars(catalog)['_database']",
        "shipping.py reaches `vars(catalog)`",
        "Call a public method",
    ),
    _reach(
        "a_router_does_not_look_into_the_application",
        "modules/ordering/router/__init__.py",
        "def late(request: Any) -> Any:\n    return request.app.state.parts.services['catalog']",
        "__init__.py looks into the application (`request.app`)",
        "Take what you need from the container",
    ),
    _reach(
        "a_router_does_not_look_into_the_application_by_the_scope",
        "modules/users/router/gate.py",
        "def late(scope: dict[str, Any]) -> Any:\n    return scope['app'].state",
        "gate.py looks into the application (`scope['app']`)",
        "Take what you need from the container",
    ),
    _reach(
        "a_test_does_not_take_a_neighbours_service_out_of_the_application",
        "tests/ordering/test_jobs.py",
        "def late(till: Till) -> Any:\n    return till.shop.app.state.parts.services['catalog']",
        "test_jobs.py takes the service of catalog out of the application",
        "Use catalog.fakes, or the routes of catalog",
    ),
]
