"""Wiring: containers that the gate lets pass, however they are written (its violations: `planted_wiring`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from dependency_injector import containers, providers
from sqlalchemy import MetaData

from app.contracts.gate import Bench
from app.contracts.gates.wiring.containers import faulty_containers
from app.contracts.gates.wiring.descriptions import faulty_needs, in_order
from kernel.database.unit_of_work import Database
from kernel.module import Module
from kernel.pure.clock import Clock
from kernel.settings import Settings

BENCH = Bench(root=Path(__file__).resolve().parents[2])


@runtime_checkable
class Greets(Protocol):
    def greet(self) -> str: ...


@runtime_checkable
class Greeting(Greets, Protocol):
    def leave(self) -> str: ...


class Greeter(Greeting):
    def greet(self) -> str:
        return "Hello"

    def leave(self) -> str:
        return "Bye"


class Porter:
    def __init__(self, **_: Any) -> None: ...


def container(**declared: providers.Provider[Any]) -> type[containers.DeclarativeContainer]:
    return type("Container", (containers.DeclarativeContainer,), declared)


def module(name: str, made: type[containers.DeclarativeContainer], **options: Any) -> Module:
    return Module(name=name, owner="Tests", summary="For tests.", container=made, metadata=MetaData(schema=name), **options)


GREETER = module("greeter", container(service=providers.Singleton(Greeter)), offers=Greeting)


def found(porter: Module) -> list[str]:
    return [finding.what for finding in faulty_containers(BENCH, porter, {"greeter": GREETER, "porter": porter})]


def parts() -> dict[str, Any]:
    return {"database": providers.Dependency(instance_of=Database), "settings": providers.Dependency(instance_of=Settings)}


def test_what_reaches_the_service_through_others_is_used() -> None:
    asked = parts()
    tools = providers.Dict(database=asked["database"], few=providers.Object(3))
    currency = providers.Callable(str, asked["settings"].provided.currency)
    chosen = providers.Selector(currency, GBP=providers.Factory(Porter, tools=tools))

    porter = module("porter", container(**asked, tools=tools, chosen=chosen, service=providers.Singleton(Porter, by=chosen)))

    assert found(porter) == []


def test_what_only_the_router_gets_is_used() -> None:
    asked = parts()
    made = container(**asked, service=providers.Singleton(Porter), router=providers.Singleton(Porter, **asked))

    assert found(module("porter", made)) == []


@pytest.mark.parametrize("door", [Greeting, Greets])
def test_a_neighbour_may_be_asked_for_as_part_of_what_it_offers(door: type) -> None:
    greeter: Any = providers.Dependency(instance_of=door)
    made = container(greeter=greeter, service=providers.Singleton(Porter, greeter=greeter))

    assert found(module("porter", made, needs=("greeter",))) == []


def test_a_service_may_come_from_a_function() -> None:
    def make(clock: Clock) -> Greeter:
        return Greeter()

    clock = providers.Dependency(instance_of=Clock)
    made = container(clock=clock, service=providers.Singleton(make, clock))

    assert found(module("porter", made, offers=Greeting)) == []


def test_modules_in_a_chain_are_in_no_circle() -> None:
    chain = [module(name, GREETER.container, needs=needs) for name, needs in [("c", ("b",)), ("a", ()), ("b", ("a",))]]

    assert list(faulty_needs(BENCH, chain)) == []
    assert [each.name for each in in_order(chain)] == ["a", "b", "c"]


def test_only_those_in_a_circle_are_named_and_not_those_who_wait_for_them() -> None:
    needing = {"a": ("b",), "b": ("a",), "waiting": ("a",)}
    modules = [module(name, GREETER.container, needs=needs) for name, needs in needing.items()]

    sentences = {finding.what for finding in faulty_needs(BENCH, modules)}

    assert sentences == {"The modules a, b need each other in a circle, so none can be built before the others."}
