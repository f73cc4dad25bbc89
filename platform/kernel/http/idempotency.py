"""Idempotent routes: the key, the change, its events and its answer are one commit; a repeat gets the answer again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic_core import to_json
from sqlalchemy import Boolean, LargeBinary, SmallInteger, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import Response

from kernel.database.call import RetryCall
from kernel.database.errors import constraint
from kernel.database.outbox_rows import OUTBOX_INSERT
from kernel.database.tables import ATTEMPT_STATUS
from kernel.http import current
from kernel.http.hop_route import HopRoute, Runtime
from kernel.http.problems import bad_request
from kernel.http.routes import Declaration, Idempotency, Resume
from kernel.pure.errors import Conflict, DomainError, Invalid, Unavailable

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SCOPE_KEY: Final = "emporium.idempotency_key"
_PRIMARY_KEY: Final = "pk_idempotency_keys"
_STORED_HEADERS: Final = frozenset({b"content-type", b"location", b"etag"})

CLAIM: Final = text(
    "SELECT claim.got, stored.fingerprint, stored.status, stored.headers, stored.body"
    " FROM (SELECT pg_try_advisory_xact_lock(:lock) AS got) AS claim"
    " LEFT JOIN kernel.idempotency_keys AS stored"
    " ON stored.owner_id = :owner_id AND stored.operation = :operation AND stored.key = :key"
).columns(got=Boolean, fingerprint=LargeBinary, status=SmallInteger, headers=JSONB, body=LargeBinary)
IS_STORED: Final = text(
    "SELECT FROM kernel.idempotency_keys WHERE owner_id = :owner_id AND operation = :operation AND key = :key"
)
STORE: Final = text(
    f"WITH events AS ({OUTBOX_INSERT.text})"  # noqa: S608 -- two constants
    " INSERT INTO kernel.idempotency_keys (owner_id, operation, key, fingerprint, status, headers, body)"
    " VALUES (:owner_id, :operation, :key, :fingerprint, :status, :headers, :body)"
).bindparams(
    bindparam("events", type_=Text),
    bindparam("headers", type_=JSONB),
    bindparam("fingerprint", type_=LargeBinary),
    bindparam("body", type_=LargeBinary),
)


class IdempotencyKeyInUse(Conflict):
    """A request with this Idempotency-Key is being worked on; ask again shortly."""

    code = "idempotency-key-in-use"
    title = "The first request with this key is not finished"
    retry_after: Final = 1


class IdempotencyKeyReused(Invalid):
    """This Idempotency-Key came with another request before."""

    code = "idempotency-key-reused"
    title = "The key belongs to another request"


class IdempotentRoute(HopRoute):
    """Opens the outermost transaction, which the service joins, and commits key and answer with the change."""

    def __init__(self, declared: Declaration, runtime: Runtime) -> None:
        super().__init__(declared, runtime)
        if runtime.database is None:
            raise TypeError(f"{declared}: idempotent routes store their keys; give mount() the kernel's database.")
        self._database = runtime.database
        self._bodies = [field.name for field in self.dependant.body_params]

    def examine(self, request: Request) -> None:
        super().examine(request)
        key = request.headers.get("idempotency-key")
        if key is None and self.declared.idempotent is not Idempotency.ACCEPTED:
            raise bad_request(
                "idempotency-key-required",
                "Send an Idempotency-Key header of your choice, so that repeating this request is safe.",
            )
        if key is not None and (not _KEY.fullmatch(key) or len(request.headers.getlist("idempotency-key")) > 1):
            raise bad_request("idempotency-key-invalid", "There is one Idempotency-Key, of 1 to 255 visible ASCII characters.")
        request.scope[_SCOPE_KEY] = key

    def attempt(self, values: dict[str, Any]) -> Response:
        scope = current.scope_of_request()
        key: str | None = scope[_SCOPE_KEY]
        caller = current.principal()
        if key is None or caller is None:
            return super().attempt(values)
        name = {"owner_id": caller.user_id, "operation": self.declared.operation_id, "key": key}
        try:
            return self._attempt_once(name, self._fingerprint(scope["path_params"], values), values)
        except (IdempotencyKeyInUse, IdempotencyKeyReused, Unavailable):
            raise
        except DomainError as error:
            # What was refused may have been done by a twin that committed between our look-up and our lock.
            with self._database.read() as connection:
                done = connection.execute(IS_STORED, name).one_or_none() is not None
            if done:
                raise RetryCall from error
            raise

    def _attempt_once(self, name: Mapping[str, Any], fingerprint: bytes, values: dict[str, Any]) -> Response:
        with self._database.transaction(label=self.declared.operation_id) as session:
            # Past the session, which would look for entities in the statements first.
            connection = session.connection()
            found = connection.execute(CLAIM, {**name, "lock": _lock_of(name)}).one()
            if not found.got:
                raise IdempotencyKeyInUse("The first request with this Idempotency-Key is still being worked on.")
            if found.fingerprint is not None:
                if found.fingerprint != fingerprint:
                    raise IdempotencyKeyReused("This Idempotency-Key came with another request before; choose a new one.")
                return _replay(found.status, found.headers, found.body)
            answer = self.do(values)
            if 200 <= answer.status_code < 300:
                stored = {**name, "fingerprint": fingerprint, "events": self._database.take_outbox(), **_stored(answer)}
                try:
                    connection.execute(STORE, stored)
                except IntegrityError as error:
                    # A twin committed between the snapshot of our look-up and our lock: a second run finds its answer.
                    if constraint(error) == _PRIMARY_KEY:
                        raise RetryCall from error
                    raise
        return answer

    def do(self, values: dict[str, Any]) -> Response:
        """What the key stands for; its answer is stored with it."""
        return super().attempt(values)

    def _fingerprint(self, path_params: Mapping[str, str], values: Mapping[str, Any]) -> bytes:
        """What makes two requests the same: the validated body, so that spelling does not count, and the path."""
        path = json.dumps(path_params, sort_keys=True).encode("ascii")
        return hashlib.sha256(path + to_json([values[name] for name in self._bodies])).digest()


class ResumedRoute(IdempotentRoute):
    """The key commits with the attempt that the endpoint begins; then, and at each repeat, that attempt is resumed.

    What it comes to is not stored with the key: whoever resumes it reads it from the attempt.
    """

    def call(self, values: dict[str, Any]) -> Response:
        begun = super().call(values)
        resume = cast(Resume, self.declared.resume)
        # Outside of the call that began it: each step of what follows is a call of its own, to be retried alone.
        told = self.blank()
        result = resume(int(bytes(begun.body)), current.principal(), told)
        answer = self.answer(result, told.status_code, told.raw_headers)
        if "idempotency-replayed" in begun.headers:
            answer.headers["idempotency-replayed"] = "true"
        return answer

    def do(self, values: dict[str, Any]) -> Response:
        return Response(str(self.declared.endpoint(**values)), ATTEMPT_STATUS)


def _lock_of(name: Mapping[str, Any]) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(list(name.values())).encode()).digest()[:8], "big", signed=True)


def _stored(answer: Response) -> dict[str, Any]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.raw_headers if name in _STORED_HEADERS}
    return {"status": answer.status_code, "headers": headers, "body": bytes(answer.body)}


def _replay(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    return Response(body, status, {**headers, "idempotency-replayed": "true"})
