"""The service over HTTP: one FastAPI app that speaks the Open Inference Protocol.

FastAPI finds the route and tells the contract (OpenAPI). The work is done by plain ASGI functions:
the body is read once, by orjson, and no layer stands between the socket and the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from datahall import __version__
from datahall.serving import contract, measures
from datahall.serving.defences import Defence
from datahall.serving.protocol import (
    JSON_TYPE,
    PREFIX,
    Refusal,
    RefusedError,
    model_path,
    refuse,
)
from datahall.serving.service import SUBJECT_HEADER, Service, names
from datahall.serving.settings import ServiceSettings

MODEL, VERSION = f"{PREFIX}/models/{{name}}", "/versions/{version}"
SINGLE = ("content-type", "content-length", "inference-header-content-length")
BROKE = Refusal(500, "internal", "Something went wrong here.")
Answer = Callable[[Scope], tuple[int, dict[str, Any]]]


class InferenceApp(FastAPI):
    """A FastAPI app without layers round its routes: what they raise becomes JSON here.

    Attributes:
        service: What it serves.
        often: Paths that nearly all requests name, and what answers them: no route is searched.
    """

    service: Service
    often: Mapping[str, ASGIApp]

    def build_middleware_stack(self) -> ASGIApp:
        """Return what stands round the routes."""
        router, service, often = self.router, self.service, self.often

        async def stack(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await router(scope, receive, send)
            began = perf_counter()
            found = often.get(scope["path"], router) if scope["method"] == "POST" else router
            try:
                await found(scope, receive, send)
            except HTTPException as error:  # no such path, or not this method
                reason = "wrong_method" if error.status_code == 405 else "unknown_path"
                refusal = Refusal(error.status_code, reason, str(error.detail))
                await _refused(service, scope, send, refusal, began, error.headers)
            except RefusedError as error:
                await _refused(service, scope, send, error.refusal, began)
            except Exception:
                await _refused(service, scope, send, BROKE, began)

        return stack


def build(settings: ServiceSettings) -> InferenceApp:
    """Return the app of one service.

    Args:
        settings: What to serve, and with which defences.

    Raises:
        RefusedError: The model is not to be trusted.
        DataError: There is none, or the log cannot be opened.
    """
    app = InferenceApp(
        title="Datahall model service",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.service = Service(settings)
    _add_routes(app, app.service)
    return app


def _infer(service: Service) -> ASGIApp:
    limit = service.settings.limits.body_bytes if Defence.BODY_LIMIT in service.on else None

    async def infer(scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        service.in_flight += 1
        refusal, name, body, headers = None, "", b"", _headers(scope)
        try:
            _headers_once(scope, headers)
            body = await _body(receive, limit)
            answered = service.answer(scope["raw_path"], headers, body)
            name, said, more = answered.id, answered.message.body, answered.message.headers
        except Exception as error:
            refusal = error.refusal if isinstance(error, RefusedError) else BROKE
            said, more = orjson.dumps(service.explained(refusal, body)), {}
        finally:
            service.in_flight -= 1
        logged = _record(service, scope, headers, refusal, began, id=name, bytes=len(body))
        if logged is not None and logged is not refusal:  # no answer without its line in the log
            refusal, said, more = logged, orjson.dumps(service.explained(logged)), {}
        more = more | {"datahall-model": service.model.digest}
        await _send(send, refusal.status if refusal else 200, said, more)

    return infer


async def _body(receive: Receive, limit: int | None) -> bytes:
    """Return the whole body; it is not read further than it may be long."""
    event = await receive()
    if event["type"] == "http.request" and not event.get("more_body", False):
        parts, size = [event.get("body", b"")], len(event.get("body", b""))
    else:
        parts, size = [], 0
        while True:
            if event["type"] == "http.disconnect":
                refuse(400, "gone", "The caller left before his request was whole.")
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if not event.get("more_body", False) or (limit is not None and size > limit):
                break
            event = await receive()
    if limit is not None and size > limit:
        refuse(413, "too_large", "The body is too large.")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _headers_once(scope: Scope, headers: Mapping[str, str]) -> None:
    """Refuse a header that comes twice where the second one would change what the body means."""
    if len(headers) == len(scope["headers"]):
        return
    given = [name.decode("latin-1") for name, _ in scope["headers"]]
    if any(given.count(name) > 1 for name in SINGLE):
        refuse(400, "double_header", "A header comes twice.")


def _record(
    service: Service,
    scope: Scope,
    headers: Mapping[str, str],
    refusal: Refusal | None,
    began: float,
    **said: Any,
) -> Refusal | None:
    name, version = names(scope["raw_path"])
    return service.record(
        refusal,
        perf_counter() - began,
        who=service.who(headers),
        subject=headers.get(SUBJECT_HEADER, ""),
        what=f"{scope['method']} {scope['path']}",
        model=name if version is None else f"{name}/{version}",
        **said,
    )


async def _refused(
    service: Service,
    scope: Scope,
    send: Send,
    refusal: Refusal,
    began: float,
    more: Mapping[str, str] | None = None,
) -> None:
    refusal = _record(service, scope, _headers(scope), refusal, began) or refusal
    await _send(send, refusal.status, orjson.dumps(service.explained(refusal)), more or {})


async def _send(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    given = {"content-type": JSON_TYPE, "content-length": str(len(body)), **headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _answers(answer: Answer) -> ASGIApp:
    """Return the ASGI app of a route whose answer is a small JSON object."""

    async def reply(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        status, said = answer(scope)
        await _send(send, status, orjson.dumps(said), {})

    return reply


def _metrics(service: Service) -> ASGIApp:
    class Page:  # a class: Starlette calls functions as endpoints of another kind
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            await _send(send, 200, service.measures.page(), {"content-type": measures.CONTENT_TYPE})

    return Page()


def _route(app: FastAPI, path: str, answer: ASGIApp, model: Any, **told: Any) -> None:
    """Add a route: FastAPI describes it by the path and the model, the answer is a plain app."""

    async def of_server() -> None: ...

    async def of_model(name: str) -> None: ...

    async def of_version(name: str, version: str) -> None: ...

    described = of_version if VERSION in path else of_model if "{name" in path else of_server
    app.add_api_route(path, described, response_model=model, **told)
    route = app.router.routes[-1]
    assert isinstance(route, Route)  # noqa: S101 (it was added a line above)
    route.app = answer


def _add_routes(app: InferenceApp, service: Service) -> None:
    infer = _infer(service)
    app.often = {model_path(service.model.name, action="infer"): infer}
    for middle in (VERSION, ""):
        told = {
            "methods": ["POST"],
            "responses": contract.INFER_RESPONSES,
            "openapi_extra": contract.INFER_EXTRA,
            "operation_id": f"infer{'_version' if middle else ''}",
        }
        _route(app, f"{MODEL}{middle}/infer", infer, contract.InferenceResponse, **told)

    def ready(scope: Scope) -> tuple[int, dict[str, Any]]:
        return 200, {"name": service.named(scope["raw_path"]).name, "ready": True}

    def metadata(scope: Scope) -> tuple[int, dict[str, Any]]:
        return 200, service.metadata(scope["raw_path"])

    known = contract.errors(404)
    for middle in (VERSION, ""):
        path = f"{MODEL}{middle}"
        _route(app, f"{path}/ready", _answers(ready), contract.ModelReady, responses=known)
    for middle in (VERSION, ""):
        path = f"{MODEL}{middle}"
        _route(app, path, _answers(metadata), contract.ModelMetadata, responses=known)

    def server_ready(_: Scope) -> tuple[int, dict[str, Any]]:
        return 200, {"ready": True, "reload": service.problem}

    server = {
        "name": "datahall",
        "version": __version__,
        "extensions": ["binary_tensor_data"],
    }
    _route(app, PREFIX, _answers(lambda _: (200, server)), contract.ServerMetadata)
    live = _answers(lambda _: (200, {"live": True}))
    _route(app, f"{PREFIX}/health/live", live, contract.ServerLive)
    _route(app, f"{PREFIX}/health/ready", _answers(server_ready), contract.ServerReady)
    app.router.routes.append(
        Route("/metrics", _metrics(service), methods=["GET"], include_in_schema=False)
    )
