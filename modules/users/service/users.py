"""The service of users: everything users can do, for its own router and commands and for other modules."""

from __future__ import annotations

from users.interface import UsersService
from users.service.administration import AdministrationUseCases
from users.service.log_in import LogInUseCases


class DatabaseUsersService(LogInUseCases, AdministrationUseCases, UsersService):
    """One stateless object per application; its use cases live in `accounts`, `administration` and `log_in`."""
