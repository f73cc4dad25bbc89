"""Mounting: makes the routes of one application from what routers declare, and refuses what would slow requests down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fastapi import FastAPI

from kernel.database.unit_of_work import Database
from kernel.http.executor import HopExecutor
from kernel.http.hop_route import HopRoute, Runtime
from kernel.http.idempotency import IdempotentRoute, ResumedRoute
from kernel.http.routes import Declaration, Idempotency, Router
from kernel.http.tokens import AccessTokens


def mount(
    app: FastAPI,
    routers: Sequence[Router],
    *,
    executor: HopExecutor,
    access_tokens: AccessTokens,
    database: Database | None = None,
) -> None:
    """Append the routers' routes to the application, flat and in the order given: hot modules first.

    `database` is the kernel's own handle, for idempotent routes. Errors: TypeError, naming the route and the fix.
    """
    runtime = Runtime(executor=executor, access_tokens=access_tokens, database=database)
    routes: list[HopRoute] = []
    for router in routers:
        if not isinstance(router, Router):
            raise TypeError(
                f"{router!r} is no Router of the kernel: write `Router(module=…, prefix=…)` from kernel.http.routes, so that "
                "its endpoints run in one hop and declare who may call them."
            )
        routes += [_route(declared, runtime) for declared in router.declarations]
    _refuse_twins(routes)
    _put_words_first(routes)
    _share_allow_headers(routes)
    app.router.routes.extend(routes)
    # Each route answers with and without a trailing slash itself.
    app.router.redirect_slashes = False


def _route(declared: Declaration, runtime: Runtime) -> HopRoute:
    if declared.idempotent is None:
        return HopRoute(declared, runtime)
    kind = ResumedRoute if declared.idempotent is Idempotency.RESUMED else IdempotentRoute
    return kind(declared, runtime)


def _refuse_twins(routes: Sequence[HopRoute]) -> None:
    taken: dict[str, HopRoute] = {}
    for route in routes:
        for name in (f"{route.declared.method} {route.path_regex.pattern}", route.declared.operation_id):
            if name in taken:
                raise TypeError(f"{route.declared} repeats {taken[name].declared}: rename the function or change the path.")
            taken[name] = route


def _put_words_first(routes: Sequence[HopRoute]) -> None:
    """What is written out in a path is no value for another route's parameter there, whatever the methods.

    So `PUT /users/me` is a method that `/users/me` does not have (405), and not the account with the id `me` (404).
    """
    shapes = {route.path_regex.pattern: (route.path_format, len(route.param_convertors)) for route in routes}
    for route in routes:
        # The other's own parameters stand in its path in braces, which a parameter here takes like any text.
        others = [
            shape
            for shape, (path, parameters) in shapes.items()
            if parameters < len(route.param_convertors) and route.path_regex.match(path)
        ]
        if others:
            route.pass_over(others)


def _share_allow_headers(routes: Sequence[HopRoute]) -> None:
    """A 405 names the methods of all routes with that path, not only of the first."""
    at_path: dict[str, list[HopRoute]] = defaultdict(list)
    for route in routes:
        at_path[route.path_regex.pattern].append(route)
    for same in at_path.values():
        methods = {method for route in same for method in route.served}
        for route in same:
            route.allow_header = ", ".join(sorted(methods))
