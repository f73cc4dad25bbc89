"""The pages for people: `/`, `/docs` (Swagger UI) and `/redoc`, with every asset served by the application itself.

Scripts and styles of the two viewers come from the wheel `fastapi-offline`, used as a parcel of files; its own code is not
called. Pages carry no inline script, so that a strict Content-Security-Policy can stand on them.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_OWN = Path(__file__).parent / "static"
_A_YEAR = "public, max-age=31536000, immutable"

# Redoc draws with styled-components (inline <style>) and searches in a worker made from a blob.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_REDOC_POLICY = _POLICY | {"style-src": "'self' 'unsafe-inline'", "worker-src": "blob:"}


@dataclass(frozen=True)
class Asset:
    """A static file, held in memory; its fingerprint is part of its address, so browsers may keep it for good."""

    media_type: str
    body: bytes = field(repr=False)
    fingerprint: str

    @property
    def etag(self) -> str:
        return f'"{self.fingerprint}"'


def install(app: FastAPI) -> None:
    """Add the pages and their assets to `app`, whose own `docs_url` and `redoc_url` are off."""
    pages = {
        "/": _page(app, "index.html", _POLICY),
        **dict.fromkeys(("/docs", "/docs/"), _page(app, "docs.html", _POLICY)),
        **dict.fromkeys(("/redoc", "/redoc/"), _page(app, "redoc.html", _REDOC_POLICY)),
        "/docs/assets/{name}": _serve_asset,
        "/favicon.ico": _serve_favicon,
    }
    for path, endpoint in pages.items():
        app.router.routes.append(Route(path, endpoint, methods=["GET"], include_in_schema=False))


def _page(app: FastAPI, template: str, policy: Mapping[str, str]) -> Callable[[Request], Awaitable[Response]]:
    header = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    text = (_OWN / template).read_text(encoding="utf-8")

    async def page(request: Request) -> Response:
        values = {
            "title": app.title,
            "version": app.version,
            "openapi": app.openapi_url or "",
            "root": request.scope.get("root_path", "").rstrip("/"),
            "base": str(request.base_url).rstrip("/"),
        }
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": header}
        body = _fill(text, values | {f"asset:{name}": asset.fingerprint for name, asset in _assets().items()})
        return Response(body, headers=headers, media_type="text/html")

    return page


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{{{name}}}}}", escape(value))
    return text


async def _serve_asset(request: Request) -> Response:
    return _answer(request, _assets().get(request.path_params["name"]))


async def _serve_favicon(request: Request) -> Response:
    return _answer(request, _assets()["favicon.svg"])


def _answer(request: Request, asset: Asset | None) -> Response:
    if asset is None:
        raise HTTPException(404)
    for_good = request.query_params.get("v") == asset.fingerprint
    headers = {"Cache-Control": _A_YEAR if for_good else "no-cache", "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(asset.body, headers=headers, media_type=asset.media_type)
    return Response(_compressed(asset), headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)


@cache
def _compressed(asset: Asset) -> bytes:
    return gzip.compress(asset.body, compresslevel=6, mtime=0)


@cache
def _assets() -> Mapping[str, Asset]:
    viewers = _viewers()
    files = {
        "swagger-ui-bundle.js": viewers / "swagger-ui-bundle.js",
        "swagger-ui.css": viewers / "swagger-ui.css",
        "redoc.standalone.js": viewers / "redoc.standalone.js",
        **{path.name: path for path in _OWN.iterdir() if path.suffix != ".html"},
    }
    return {name: _load(path) for name, path in files.items()}


def _load(path: Path) -> Asset:
    body = _without_calls_home(path.read_bytes())
    return Asset(_MEDIA_TYPES[path.suffix], body, hashlib.sha256(body).hexdigest()[:16])


_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def _viewers() -> Path:
    spec = importlib.util.find_spec("fastapi_offline")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package fastapi-offline is not installed: /docs and /redoc need its files.")
    return Path(spec.submodule_search_locations[0]) / "static"


def _without_calls_home(script: bytes) -> bytes:
    """Redoc's foot shows a logo from its maker's servers: an empty picture stands in for it."""
    return script.replace(
        b"https://cdn.redoc.ly/redoc/logo-mini.svg",
        b"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/>",
    )
