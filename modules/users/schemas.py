"""Request bodies, query parameters and answers of the routes of users."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from kernel.http.documents import Described
from kernel.http.fields import Body, ShortText, Text, absent
from kernel.http.pages import PageQuery
from users.interface import User
from users.settings import MAX_EMAIL, MAX_PASSWORD, MAX_ROLE, MIN_PASSWORD

USER_EXAMPLE: Final[dict[str, Any]] = {
    "id": 3,
    "email": "ada@example.com",
    "full_name": "Ada Lovelace",
    "roles": [],
    "disabled_at": None,
    "created_at": "2026-01-05T09:30:00Z",
    "updated_at": "2026-01-05T09:30:00Z",
}

UserBody = Annotated[
    User,
    Described(
        example=USER_EXAMPLE,
        fields={
            "email": "In lower case; unique whatever the letter case.",
            "roles": "What the person may do besides buying. Only admins change them.",
            "disabled_at": "Since when an admin keeps the account out.",
        },
    ),
]

# As long as the real ones; "an example, …" in base 64.
REFRESH_TOKEN_EXAMPLE: Final = "YW4gZXhhbXBsZSwgYXMgbG9uZyBhcyBhIHJlZnJlc2ggdG9rZW4gaXMsIGJ1dCBub3Qgb25lLi4"  # noqa: S105 -- no token
TOKENS_EXAMPLE: Final[dict[str, Any]] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIzIn0.bm90IGEgc2lnbmF0dXJl",
    "refresh_token": REFRESH_TOKEN_EXAMPLE,
    "token_type": "bearer",
    "expires_in": 900,
}

EmailText = Annotated[str, Text(max_length=MAX_EMAIL), Field(examples=["ada@example.com"])]
NewPassword = Annotated[
    str,
    Text(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD, strip=False),
    Field(description="Any characters; a sentence is better than a riddle.", examples=["correct horse battery staple"]),
]
KnownPassword = Annotated[str, Text(max_length=MAX_PASSWORD, strip=False)]
RefreshTokenText = Annotated[str, Text(max_length=200)]
RoleName = Annotated[str, Text(max_length=MAX_ROLE)]


class RegisterBody(Body):
    """A new account. Roles are granted by admins, never chosen."""

    email: EmailText
    password: NewPassword
    full_name: ShortText | None = None

    example: ClassVar = {"email": "ada@example.com", "password": "correct horse battery staple", "full_name": "Ada Lovelace"}


class ReplaceUserBody(Body):
    """A person's new content; without `full_name` it is removed. E-mail address, password and roles do not change here."""

    full_name: ShortText | None = None

    example: ClassVar = {"full_name": "Ada King"}


class PatchUserBody(Body):
    """A merge patch (RFC 7396): what is named changes, `null` removes. E-mail address, password and roles do not change
    here."""

    full_name: ShortText | None = absent()

    example: ClassVar = {"full_name": "Ada King"}


class PasswordBody(Body):
    """A change of the password, proved by the old one."""

    old_password: KnownPassword
    new_password: NewPassword

    example: ClassVar = {"old_password": "correct horse battery staple", "new_password": "a stitch in time saves nine"}


class RefreshTokenBody(Body):
    refresh_token: RefreshTokenText

    example: ClassVar = {"refresh_token": REFRESH_TOKEN_EXAMPLE}


class LogInForm(Body):
    """The form of OAuth2's password grant (RFC 6749, section 4.3.2); what it has besides is ignored, as told there."""

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["password"] = "password"
    username: Annotated[str, Text(max_length=MAX_EMAIL), Field(description="The e-mail address.")]
    password: Annotated[KnownPassword, Field(json_schema_extra={"format": "password"})]

    example: ClassVar = {"grant_type": "password", "username": "ada@example.com", "password": "correct horse battery staple"}


class UserQuery(PageQuery):
    """What a list of users can be narrowed to."""

    email: EmailText | None = Field(None, description="Only the account of this address, in any letter case.")
    role: RoleName | None = Field(None, description="Only those who have this role.")
    disabled: bool | None = Field(None, description="Only those who are kept out, or only those who are not.")
