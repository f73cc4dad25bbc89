"""Wiring: what fits together is built, what does not is refused in one sentence, and applications do not share anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from dependency_injector import containers, providers
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import MetaData
from starlette.middleware.base import BaseHTTPMiddleware

from app.application import create_app
from app.container import Parts, build
from app.modules import ModuleError, installed, variables
from app.revisions import Revisions
from kernel.database.engines import Engines
from kernel.database.unit_of_work import Database
from kernel.http.access import ANYONE
from kernel.http.endpoints import refuse_hops_in_dependencies
from kernel.http.hop_route import HopRoute
from kernel.http.routes import Router
from kernel.module import Module, Offer
from kernel.pure.events import Events
from kernel.settings import VARIABLES, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


@runtime_checkable
class Greeting(Protocol):
    def greet(self, *, name: str) -> str: ...


@runtime_checkable
class Silence(Protocol):
    """A door without methods."""


@runtime_checkable
class Hospitality(Greeting, Silence, Protocol):
    """A door that is made of two."""


class Greeter(Hospitality):
    def __init__(self, word: str = "Hello") -> None:
        self.word = word

    def greet(self, *, name: str) -> str:
        return f"{self.word}, {name}!"


class Mute:
    pass


class Porter:
    """Calls another module."""

    def __init__(self, greeter: Greeting) -> None:
        self.greeter = greeter

    def receive(self) -> str:
        return self.greeter.greet(name="guest")


def porter_router(porter: Porter) -> Router:
    router = Router(module="porter", prefix="/api/v1/porter")

    @router.get("", allow=ANYONE)
    def receive() -> str:
        """Receive a guest."""
        return porter.receive()

    return router


def container(**declared: providers.Provider[Any]) -> type[containers.DeclarativeContainer]:
    return type("Container", (containers.DeclarativeContainer,), declared)


def module(name: str, **options: Any) -> Module:
    defaults: dict[str, Any] = {
        "owner": "Tests",
        "summary": "For tests.",
        "container": container(service=providers.Singleton(Greeter)),
        "metadata": MetaData(schema=name),
    }
    return Module(name=name, **{**defaults, **options})


def porter(**options: Any) -> Module:
    greeter = providers.Dependency(instance_of=Greeting)
    service = providers.Singleton(Porter, greeter=greeter)
    wired = container(greeter=greeter, service=service, router=providers.Singleton(porter_router, service))
    return module("porter", **{"needs": ("greeter",), "container": wired, **options})


GREETER = module("greeter", offers=Greeting)


@pytest.fixture
def settings() -> Settings:
    return Settings(secret_key=SecretStr("s" * 8 + "0123456789abcdefghijklmnopqrstuvwxyz"))


@pytest.fixture
def build_parts(settings: Settings, engines: Engines) -> Callable[..., Parts]:
    def build_them(*modules: Module, **fakes: Any) -> Parts:
        return build(settings, engines, modules=modules, fakes=fakes)

    return build_them


@pytest.fixture
def client_of(settings: Settings, engines: Engines) -> Callable[..., TestClient]:
    def client(*modules: Module, **fakes: Any) -> TestClient:
        return TestClient(create_app(settings, engines=engines, modules=modules, fakes=fakes))

    return client


class TestBuilding:
    def test_a_module_is_built_after_those_it_needs(self, build_parts: Callable[..., Parts]) -> None:
        parts = build_parts(porter(), GREETER)

        assert [built.module.name for built in parts.modules] == ["greeter", "porter"]
        assert parts.services["porter"].receive() == "Hello, guest!"

    def test_a_container_gets_the_parts_of_the_kernel_that_it_declares(self, build_parts: Callable[..., Parts]) -> None:
        names = ("database", "events", "clock", "settings", "principals", "access_tokens", "grantable_roles")
        declared: dict[str, Any] = {name: providers.Dependency() for name in names}
        all_of_them = container(**declared, service=providers.Singleton(dict, **declared))

        given = build_parts(module("hungry", container=all_of_them, roles=("clerk",))).services["hungry"]

        assert isinstance(given["database"], Database)
        assert given["database"].module == "hungry"
        assert isinstance(given["events"], Events)
        assert given["grantable_roles"] == {"admin", "clerk"}

    def test_routes_of_hot_modules_come_first(self, build_parts: Callable[..., Parts]) -> None:
        def made(name: str) -> type[containers.DeclarativeContainer]:
            return container(service=providers.Object(name), router=providers.Object(name))

        parts = build_parts(
            module("cold", container=made("cold")),
            module("hot", container=made("hot"), hot=2),
            module("warm", container=made("warm"), hot=1),
        )

        assert parts.routers() == ["hot", "warm", "cold"]


class TestFakes:
    def test_a_fake_stands_for_the_service_of_a_module(self, build_parts: Callable[..., Parts]) -> None:
        parts = build_parts(GREETER, porter(), greeter=Greeter("Welcome"))

        assert parts.services["porter"].receive() == "Welcome, guest!"
        assert [built.module.name for built in parts.modules] == ["porter"]

    def test_a_fake_stands_for_a_module_that_is_not_installed(self, client_of: Callable[..., TestClient]) -> None:
        client = client_of(porter(), greeter=Greeter("Welcome"))

        assert client.get("/api/v1/porter").json() == "Welcome, guest!"

    def test_a_fake_that_lacks_a_method_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="The fake of greeter is a Mute, which lacks a method of Greeting"):
            build_parts(GREETER, greeter=Mute())


class TestMistakes:
    def test_a_missing_need_is_named(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="The module porter needs greeter, which is not installed"):
            build_parts(porter())

    def test_a_circle_of_needs_is_named(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="greeter, porter need each other in a circle"):
            build_parts(replace(GREETER, needs=("porter",)), porter())

    def test_a_container_that_asks_for_what_nobody_supplies_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        asking = container(datebase=providers.Dependency(), service=providers.Singleton(Greeter))

        with pytest.raises(ModuleError, match=r"asks for datebase, which nobody supplies: .*access_tokens, clock, database"):
            build_parts(module("odd", container=asking))

    def test_a_container_that_asks_for_a_module_it_does_not_need_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="asks for greeter, a module that it does not need: add it to `needs`"):
            build_parts(GREETER, porter(needs=()))

    def test_a_need_that_the_container_does_not_declare_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="lists greeter in `needs`, but its container does not ask for it"):
            build_parts(GREETER, module("lazy", needs=("greeter",)))

    def test_a_service_that_lacks_a_method_of_its_protocol_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        mute = module("greeter", offers=Greeting, container=container(service=providers.Singleton(Mute)))

        with pytest.raises(ModuleError, match="The service of greeter is a Mute, which lacks a method of Greeting"):
            build_parts(mute)

    def test_a_neighbour_that_does_not_fit_the_protocol_asked_for_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match=r"The container of porter cannot make its service: .*Greeting"):
            build_parts(porter(), greeter=Mute())

    def test_a_door_that_is_offered_to_others_is_closed(self, build_parts: Callable[..., Parts]) -> None:
        to_others = module("greeter", offers=(Offer(Silence), Offer(Greeting, to=("lift", "bar"))))

        with pytest.raises(
            ModuleError, match="porter asks for greeter as Greeting, but what greeter offers to porter is Silence"
        ):
            build_parts(to_others, porter())

    def test_a_door_that_is_offered_by_name_is_open(self, build_parts: Callable[..., Parts]) -> None:
        parts = build_parts(module("greeter", offers=(Offer(Silence), Offer(Greeting, to=("lift", "porter")))), porter())

        assert parts.services["porter"].receive() == "Hello, guest!"

    def test_a_part_of_a_door_is_open(self, build_parts: Callable[..., Parts]) -> None:
        parts = build_parts(module("greeter", offers=Hospitality), porter())

        assert parts.services["porter"].receive() == "Hello, guest!"

    def test_the_service_stands_behind_every_door(self, build_parts: Callable[..., Parts]) -> None:
        silent = module(
            "greeter", offers=(Offer(Silence), Offer(Greeting)), container=container(service=providers.Singleton(Mute))
        )

        with pytest.raises(ModuleError, match="The service of greeter is a Mute, which lacks a method of Greeting"):
            build_parts(silent)

    def test_a_need_is_a_need_of_a_protocol(self, build_parts: Callable[..., Parts]) -> None:
        anything: Any = providers.Dependency()
        wired = container(greeter=anything, service=providers.Singleton(Porter, greeter=anything))

        with pytest.raises(ModuleError, match="asks for greeter as no Protocol in particular, but what greeter offers"):
            build_parts(GREETER, porter(container=wired))

    def test_who_offers_nothing_cannot_be_needed(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="what greeter offers to porter is nothing"):
            build_parts(module("greeter"), porter())

    def test_a_container_without_a_service_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="The container of empty provides no `service`"):
            build_parts(module("empty", container=container()))

    def test_a_module_with_the_name_of_a_kernel_part_is_refused(self, build_parts: Callable[..., Parts]) -> None:
        with pytest.raises(ModuleError, match="No module can be named settings"):
            build_parts(module("settings"))


class TestLifespan:
    def test_modules_start_in_order_of_needs_and_stop_in_reverse(self, client_of: Callable[..., TestClient]) -> None:
        seen: list[str] = []

        def noting(word: str) -> dict[str, Any]:
            return {"on_start": lambda _: seen.append(f"{word} starts"), "on_stop": lambda _: seen.append(f"{word} stops")}

        with client_of(porter(**noting("porter")), replace(GREETER, **noting("greeter"))):
            assert seen == ["greeter starts", "porter starts"]

        assert seen[2:] == ["porter stops", "greeter stops"]

    def test_a_module_that_fails_to_stop_keeps_nobody_else_from_it(
        self, client_of: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
    ) -> None:
        stopped: list[Any] = []

        def fail(_: Any) -> None:
            raise RuntimeError("stuck")

        with client_of(replace(GREETER, on_stop=stopped.append), porter(on_stop=fail)) as client:
            app = client.app

        assert len(stopped) == 1
        assert "The module porter failed to stop" in caplog.text
        assert isinstance(app, FastAPI)
        with pytest.raises(RuntimeError, match="shutdown"):
            app.state.executor._pool.submit(print)

    def test_a_module_that_fails_to_start_lets_the_earlier_ones_stop(self, client_of: Callable[..., TestClient]) -> None:
        stopped: list[Any] = []

        def fail(_: Any) -> None:
            raise RuntimeError("no fuel")

        client = client_of(replace(GREETER, on_stop=stopped.append), porter(on_start=fail))
        with pytest.raises(RuntimeError, match="no fuel"):
            client.__enter__()

        assert len(stopped) == 1

    def test_two_applications_live_in_one_process_and_share_nothing(self, client_of: Callable[..., TestClient]) -> None:
        first = client_of(GREETER, porter())
        second = client_of(porter(), greeter=Greeter("Welcome"))

        assert first.get("/api/v1/porter").json() == "Hello, guest!"
        assert second.get("/api/v1/porter").json() == "Welcome, guest!"
        assert first.get("/api/v1/porter").json() == "Hello, guest!"


class TestTheShop:
    @pytest.fixture
    def shop(self, settings: Settings, engines: Engines) -> FastAPI:
        return create_app(settings, engines=engines)

    def test_all_installed_modules_fit_together(self, shop: FastAPI) -> None:
        built = {built.module.name for built in shop.state.parts.modules}

        assert built == {module.name for module in installed()}

    def test_no_route_costs_more_than_one_hop(self, shop: FastAPI) -> None:
        routes = [route for route in shop.router.routes if isinstance(route, APIRoute)]
        others = [route.path for route in routes if not isinstance(route, HopRoute)]

        assert set(others) == {"/healthz", "/readyz"}
        for route in routes:
            if isinstance(route, HopRoute):
                refuse_hops_in_dependencies(route.declared, route.dependant)
            assert not [name for name in repr(route.dependant) if "Provide" in name]

    def test_no_middleware_wraps_requests_in_tasks(self, shop: FastAPI) -> None:
        assert not [entry for entry in shop.user_middleware if issubclass(entry.cls, BaseHTTPMiddleware)]  # type: ignore[arg-type]  # a class
        assert len(shop.user_middleware) == 1

    def test_hot_routes_are_matched_first(self, shop: FastAPI) -> None:
        order = [route.declared.module for route in shop.router.routes if isinstance(route, HopRoute)]
        hottest_first = sorted(installed(), key=lambda module: -module.hot)

        assert list(dict.fromkeys(order)) == [module.name for module in hottest_first if module.name in order]

    def test_the_document_names_no_schema_of_the_framework(self, shop: FastAPI) -> None:
        document = shop.openapi()

        assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
        assert {tag["name"] for tag in document["tags"]} >= {module.name for module in installed()}


class TestHealth:
    def test_the_process_is_alive_and_ready(self, client_of: Callable[..., TestClient]) -> None:
        with client_of(GREETER) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.head("/healthz").status_code == 200
            ready = client.get("/readyz")

        assert ready.status_code == 200, ready.text
        assert ready.json()["checks"] == {
            "database": "ok",
            "migrations": "ok",
            "events": "ok",
            "roles": "on: each module has its own",
        }

    def test_without_its_database_it_is_alive_but_not_ready(self, settings: Settings, engines: Engines) -> None:
        nowhere = Engines(engines.url.update_query_dict({"port": "1"}), threads=1, roles=engines.roles)

        with TestClient(create_app(settings, engines=nowhere, modules=[GREETER])) as client:
            alive, ready = client.get("/healthz"), client.get("/readyz")

        assert alive.status_code == 200
        assert ready.status_code == 503
        assert ready.headers["content-type"] == "application/problem+json"
        assert ready.headers["retry-after"] == "1"
        assert ready.json()["detail"] == "The shop cannot serve: database cannot be reached."

    def test_without_the_wall_it_is_ready_and_says_so(self, settings: Settings, engines: Engines, superuser_url: Any) -> None:
        plain = Engines(superuser_url, threads=1, roles=None)

        with TestClient(create_app(settings, engines=plain, modules=[GREETER])) as client:
            ready = client.get("/readyz")

        assert ready.status_code == 200, ready.text
        assert ready.json()["checks"]["roles"].startswith("off: one login for all")


class TestRevisions:
    KNOWN = Revisions(branch_of={"c1": "catalog", "c2": "catalog", "u1": "users"}, heads={"catalog": "c2", "users": "u1"})

    def test_a_database_at_all_heads_is_behind_in_nothing(self) -> None:
        assert self.KNOWN.behind({"c2", "u1"}) == []

    def test_a_branch_at_an_older_revision_is_behind(self) -> None:
        assert self.KNOWN.behind({"c1", "u1"}) == ["catalog"]

    def test_a_branch_that_was_never_migrated_is_behind(self) -> None:
        assert self.KNOWN.behind({"c2"}) == ["users"]

    def test_old_code_stays_ready_while_a_newer_release_has_migrated_already(self) -> None:
        assert self.KNOWN.behind({"c3", "u1"}) == []


def test_every_variable_is_in_the_example_file_and_the_example_is_valid(tmp_path: Path) -> None:
    lines = re.findall(r"^# ([A-Z_]+=.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert {line.split("=")[0] for line in lines} == VARIABLES | variables()
    (tmp_path / ".env").write_text("\n".join(lines))
    assert load_settings(env_file=tmp_path / ".env", environ={}, known=variables()).database_url is not None
