"""The wiring of users: what the module needs, what it provides."""

from __future__ import annotations

from dependency_injector import containers, providers

from kernel.database.principals import Principals
from kernel.database.unit_of_work import Database
from kernel.http.tokens import AccessTokens
from kernel.pure.clock import Clock
from kernel.pure.events import Events
from kernel.settings import Settings
from users.router import Attempts, build_router
from users.service import DatabaseUsersService, Passwords, RefreshTokens
from users.settings import load_token_lifetimes


class UsersContainer(containers.DeclarativeContainer):
    database = providers.Dependency(instance_of=Database)
    events = providers.Dependency(instance_of=Events)
    clock = providers.Dependency(instance_of=Clock)
    settings = providers.Dependency(instance_of=Settings)
    principals = providers.Dependency(instance_of=Principals)
    access_tokens = providers.Dependency(instance_of=AccessTokens)
    grantable_roles = providers.Dependency(instance_of=frozenset)

    passwords = providers.Singleton(Passwords)
    refresh_tokens = providers.Singleton(RefreshTokens, settings.provided.secret_key.get_secret_value.call())
    service = providers.Singleton(
        DatabaseUsersService,
        database=database,
        events=events,
        clock=clock,
        principals=principals,
        access_tokens=access_tokens,
        refresh_tokens=refresh_tokens,
        passwords=passwords,
        lifetimes=providers.Singleton(load_token_lifetimes),
        grantable_roles=grantable_roles,
    )
    attempts = providers.Singleton(Attempts, clock=clock, enabled=settings.provided.limits)
    router = providers.Singleton(build_router, service=service, attempts=attempts)
