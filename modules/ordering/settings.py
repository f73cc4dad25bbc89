"""What can be set for ordering: the payment provider, the secrets of its webhooks, and how long stock is held."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from kernel.settings import Settings, SettingsError, read_variables

_GATEWAY: Final = "EMPORIUM_PAYMENT_GATEWAY"
_SECRETS: Final = "EMPORIUM_PAYMENT_WEBHOOK_SECRETS"
_HOLD: Final = "EMPORIUM_HOLD_MINUTES"
VARIABLES: Final = (_GATEWAY, _SECRETS, _HOLD)

_DEFAULT_HOLD: Final = "15"
_MAX_HOLD: Final = 7 * 24 * 60

_MIN_SECRET: Final = 32
_MAX_SECRETS: Final = 2
"""The new one and, while the provider changes over, the old one."""


@dataclass(frozen=True, kw_only=True)
class PaymentSettings:
    gateway: Literal["sandbox", "none"]
    webhook_secrets: tuple[str, ...] = field(repr=False)
    hold: timedelta
    """How long an order may stay unpaid before its stock is free for others."""


def load_payment_settings(settings: Settings, environ: Mapping[str, str] | None = None) -> PaymentSettings:
    """From the environment and `.env`; the sandbox unless in production. Errors: SettingsError."""
    values = read_variables(environ=environ)
    problems: list[str] = []
    gateway = values.get(_GATEWAY, "none" if settings.in_production else "sandbox")
    if gateway not in ("sandbox", "none"):
        problems.append(f"{_GATEWAY} must be sandbox or none (it is {gateway[:40]!r}), for example {_GATEWAY}=sandbox.")
    elif gateway == "sandbox" and settings.in_production:
        problems.append(
            f"{_GATEWAY} is sandbox, which takes no real money: production refuses it, for example {_GATEWAY}=none."
        )
    secrets = tuple(part.strip() for part in values.get(_SECRETS, "").split(",") if part.strip())
    if len(secrets) > _MAX_SECRETS or any(len(secret.encode()) < _MIN_SECRET for secret in secrets):
        problems.append(
            f"{_SECRETS} must be one secret, or the new and the old one with a comma between, of {_MIN_SECRET} bytes or more"
            f" each, for example {_SECRETS}=$(openssl rand -hex 32)."
        )
    minutes = values.get(_HOLD, _DEFAULT_HOLD)
    if not (minutes.isascii() and minutes.isdigit() and 1 <= int(minutes[:9]) <= _MAX_HOLD):
        problems.append(f"{_HOLD} must be whole minutes from 1 to {_MAX_HOLD} (a week), for example {_HOLD}=15.")
    if problems:
        raise SettingsError(problems)
    return PaymentSettings(
        gateway="sandbox" if gateway == "sandbox" else "none",
        webhook_secrets=secrets or _own_secret(settings),
        hold=timedelta(minutes=int(minutes)),
    )


def _own_secret(settings: Settings) -> tuple[str, ...]:
    """Of this shop alone, so that the sandbox needs no setting. Nobody else can know it."""
    key = settings.secret_key.get_secret_value().encode()
    return (hmac.new(key, b"payment webhooks", hashlib.sha256).hexdigest(),)
