"""E-mail addresses: what is accepted as one, and the one way in which it is stored and compared."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from kernel.pure.errors import Invalid
from users.settings import MAX_EMAIL


def normalised(email: str) -> str:
    """The address in lower case, its domain in Unicode. Asks no DNS. Errors: Invalid (`/email`)."""
    if len(email) > MAX_EMAIL:
        raise Invalid(f"An e-mail address may have {MAX_EMAIL} characters.", pointer="/email")
    try:
        # `test_environment` lets the domain .test in, which examples and trials use.
        address = validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise Invalid("This is not an e-mail address.", pointer="/email") from None
    if "." not in address.domain:
        raise Invalid("The part of the e-mail address after the @-sign has no dot.", pointer="/email")
    return address.normalized.lower()


def normalised_or_none(email: str) -> str | None:
    """As `normalised`; None for what cannot be the address of any account."""
    try:
        return normalised(email)
    except Invalid:
        return None
