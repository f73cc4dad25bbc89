"""The wire of a shop: what arrives that is no request, or too much of one, and requests that ask for another protocol."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.protocol import MAX_HEAD, ShopProtocol

Address = tuple[str, int]

GET = b"GET /echo HTTP/1.1\r\nHost: shop\r\n"
CLOSE = b"Connection: close\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what the server made of the request."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    told = {
        "method": scope["method"],
        "path": scope["path"],
        "headers": [name.decode() for name, _ in scope["headers"]],
        "body": body.decode(),
    }
    answer = json.dumps(told).encode()
    length = (b"content-length", str(len(answer)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(echo, http=ShopProtocol, ws="none", log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


def talk(address: Address, *parts: bytes, answers: int | None = None) -> bytes:
    """What the server says until it hangs up, or until it has given as many answers."""
    with socket.create_connection(address, timeout=10) as connection:
        said = b""
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
        while answers is None or said.count(b"}") < answers:
            try:
                heard = connection.recv(65536)
            except ConnectionResetError:
                break
            if not heard:
                break
            said += heard
        return said


def bodies(said: bytes) -> list[dict[str, Any]]:
    return [json.loads(b"{" + part.split(b"}")[0] + b"}") for part in said.split(b"{")[1:]]


def assert_refused(said: bytes, status: int, code: str) -> None:
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), said[:200]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["code"] == code


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"FOO /echo HTTP/1.1\r\nHost: shop\r\n\r\n",
        GET + b"Content-Length: -1\r\n\r\n",
        GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        GET + b"no colon\r\n\r\n",
        b"GET /%s HTTP/1.1\r\nHost: shop\r\n\r\n" % b"\xff",
    ],
    ids=["TLS", "method", "negative length", "two lengths", "length and chunks", "header", "byte in the path"],
)
def test_what_is_no_request_is_refused_by_a_problem(address: Address, garbage: bytes) -> None:
    assert_refused(talk(address, garbage), 400, "malformed-request")


def test_headers_up_to_the_limit_are_read(address: Address) -> None:
    assert talk(address, GET + CLOSE + b"X-Long: " + b"x" * (MAX_HEAD - 100) + b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /echo?q=" + b"x" * (MAX_HEAD // 2) + b" HTTP/1.1\r\nX-Long: " + b"x" * (MAX_HEAD // 2) + b"\r\n\r\n",
        GET + b"X-Long: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        GET + b"".join(b"X-%d: a\r\n" % number for number in range(20_000)) + b"\r\n",
    ],
    ids=["address", "one header", "many headers"],
)
def test_more_than_the_limit_is_refused(address: Address, head: bytes) -> None:
    assert_refused(talk(address, head), 431, "headers-too-large")


def test_a_header_without_end_is_cut_off(address: Address) -> None:
    assert_refused(talk(address, GET + b"X-Long: ", *[b"x" * 65536] * 100), 431, "headers-too-large")


def test_trailers_without_end_are_cut_off(address: Address) -> None:
    chunked = b"POST /echo HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    assert_refused(talk(address, chunked + b"X-Trailer: ", *[b"x" * 65536] * 100), 431, "headers-too-large")


def test_a_long_body_is_no_long_header(address: Address) -> None:
    size = 10 * MAX_HEAD
    said = talk(address, b"POST /echo HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n" % size + CLOSE + b"\r\n", b"x" * size)
    assert bodies(said)[0]["body"] == "x" * size


@pytest.mark.parametrize("upgrade", [H2C, b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"])
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "body later"])
def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(
    address: Address, upgrade: bytes, apart: bool
) -> None:
    """As Java's HttpClient and `curl --http2` do; a server may ignore the wish, but not the body."""
    # If the body were taken for the next request, there would be a second answer before that of /last.
    body = b"GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n"
    head = b"POST /echo HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n" % len(body) + upgrade + b"\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: shop\r\n\r\n"
    said = bodies(talk(address, *([head, body + last] if apart else [head + body + last]), answers=2))
    assert [(answer["method"], answer["path"], answer["body"]) for answer in said] == [
        ("POST", "/echo", body.decode()),
        ("GET", "/last", ""),
    ]
    assert "upgrade" not in said[0]["headers"]


def test_close_is_heeded_beside_upgrade(address: Address) -> None:
    said = talk(address, GET + b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert bodies(said)[0]["path"] == "/echo"
