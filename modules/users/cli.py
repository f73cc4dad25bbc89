"""The commands of users, and the first admin of a fresh shop."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from kernel.module import ServiceGetter
from kernel.pure.errors import DomainError, Invalid
from kernel.pure.principal import ADMIN
from kernel.settings import Settings, SettingsError
from users.service import DatabaseUsersService, UserFilter

FIRST_ADMIN: Final = "admin@example.com"

Email = Annotated[str, typer.Option("--email", help="The admin's e-mail address.")]
Password = Annotated[str | None, typer.Option("--password", help="Seen by others on this machine; better leave it out.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make up a password, and print it once.")]
Promote = Annotated[bool, typer.Option("--promote", help="Make the existing account with this address an admin.")]


def build_cli(get_service: ServiceGetter) -> typer.Typer:
    cli = typer.Typer(name="users", help="Accounts and their roles.", no_args_is_help=True)

    @cli.callback()
    def users() -> None:
        """Accounts and their roles."""

    @cli.command("create-admin")
    def create_admin(email: Email, password: Password = None, generate: Generate = False, promote: Promote = False) -> None:
        """Create an admin. Asks for the password unless told otherwise; a repeat changes nothing."""
        if password is not None and generate:
            raise typer.BadParameter("Give --password or --generate, not both.")
        service: DatabaseUsersService = get_service()
        try:
            said = _promoted(service, email) if promote else _created(service, email, password, generate=generate)
        except DomainError as error:
            typer.echo(error.message, err=True)
            raise typer.Exit(1) from error
        typer.echo(said)

    return cli


def bootstrap(service: DatabaseUsersService, settings: Settings) -> Sequence[str]:
    """The first admin, with a generated password unless one is set; the lines to print. Idempotent.

    A shop that has an admin gets no other one, unless an address is set. Errors: SettingsError, NotAnAdmin.
    """
    if settings.admin_email is None and service.list_users(where=UserFilter(role=ADMIN), after_id=0, limit=1):
        return []
    email = settings.admin_email or FIRST_ADMIN
    password = None if settings.admin_password is None else settings.admin_password.get_secret_value()
    try:
        generated = service.ensure_admin(email=email, password=password)
    except Invalid as error:
        variable = "EMPORIUM_ADMIN_PASSWORD" if error.pointer == "/password" else "EMPORIUM_ADMIN_EMAIL"
        raise SettingsError([f"{variable} will not do: {error.message}"]) from None
    if generated is None:
        return []
    return [f"Admin {email} has the password {generated} (shown this once)."]


def _created(service: DatabaseUsersService, email: str, password: str | None, *, generate: bool) -> str:
    if password is None:
        password = secrets.token_urlsafe(15) if generate else _asked()
    created = service.create_admin(email=email, password=password)
    if created is None:
        return f"{email} is an admin already; nothing has changed."
    told = f" with the password {password} (shown this once)" if generate else ""
    return f"{created.email} is an admin now{told}."


def _promoted(service: DatabaseUsersService, email: str) -> str:
    user = service.promote(email=email)
    return f"{user.email} is an admin now; the password is as it was."


def _asked() -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("There is nobody to ask for the password: give --password or --generate.")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer
