"""The use cases of users. `DatabaseUsersService` implements the interface and serves the router and the commands."""

from users.service.accounts import EmailTaken, UserFilter
from users.service.addresses import normalised_or_none
from users.service.administration import LastAdmin, NotAnAdmin, RoleNotFound
from users.service.log_in import InvalidCredentials, InvalidRefreshToken, TokenIssuer, TokenPair, WrongPassword
from users.service.passwords import Passwords
from users.service.refresh_tokens import RefreshTokens
from users.service.users import DatabaseUsersService

__all__ = [
    "DatabaseUsersService",
    "EmailTaken",
    "InvalidCredentials",
    "InvalidRefreshToken",
    "LastAdmin",
    "NotAnAdmin",
    "Passwords",
    "RefreshTokens",
    "RoleNotFound",
    "TokenIssuer",
    "TokenPair",
    "UserFilter",
    "WrongPassword",
    "normalised_or_none",
]
