"""What a service costs at least: an ASGI app that does nothing, and a plain FastAPI app.

Neither has any defence: they are what the secure service is compared with. `no_op` replies without
reading; `plain` reads JSON, runs the model and replies, and checks nothing. `serve` runs one of
them in a process of its own, on loopback or on a Unix socket.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

from datahall import programs
from datahall.errors import CourseError, ParameterError
from datahall.quantization import litert
from datahall.quantization.core import Array
from datahall.serving import guarded_socket

KINDS = ("no-op", "plain")
START_S, STOP_S = 60.0, 10.0
_REPLY = b'{"outputs":[]}'


@dataclass(frozen=True)
class Floor:
    """A running server.

    Attributes:
        address: As `load.Loader` takes it.
        pid: Its only process.
        start_s: Seconds from its start to the first connection that it took.
    """

    address: str
    pid: int
    start_s: float


async def no_op(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Reply to every request with the same few bytes: an ASGI app that does nothing.

    Args:
        scope: What the server knows of the request.
        receive: Gives the body, which is not read.
        send: Takes the reply.
    """
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_REPLY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _REPLY})


def plain(answer: Callable[[Array], tuple[Array, Array]]) -> FastAPI:
    """Return the app that one writes first: JSON in, model, JSON out, and no check of anything.

    Args:
        answer: Returns labels (batch,) and scores (batch, classes) of pixels
            (batch, height, width, channels), uint8.
    """
    app = FastAPI()

    @app.post("/v2/models/mnist_cnn/infer")
    async def infer(request: Request) -> Response:
        tensor = orjson.loads(await request.body())["inputs"][0]
        images = np.array(tensor["data"]).astype(np.uint8).reshape(tensor["shape"])
        labels, scores = answer(images)
        outputs = [
            {"name": name, "datatype": kind, "shape": found.shape, "data": found.ravel().tolist()}
            for name, kind, found in (("label", "INT64", labels), ("scores", "FP32", scores))
        ]
        return Response(orjson.dumps({"outputs": outputs}), media_type="application/json")

    return app


def answering(tflite: bytes) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function from pixels to labels and scores, on LiteRT with one thread.

    Args:
        tflite: A file that takes int8 codes of images between 0 and 1, and gives logits.

    Returns:
        Takes (batch, height, width, channels), uint8; gives (batch,) and (batch, classes).
    """
    runner = litert.Runner(tflite)
    code_of = runner.codes((np.arange(256) / 255).astype(np.float32))  # of each pixel value
    scale, zero_point = runner.output_scale, runner.output_zero_point

    def answer(images: Array) -> tuple[Array, Array]:
        logits = (runner.run(code_of[images]).astype(np.float32) - zero_point) * scale
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return logits.argmax(axis=-1), raised / raised.sum(axis=-1, keepdims=True)

    return answer


@contextmanager
def serve(kind: str, tflite: Path | None = None, *, path: Path | None = None) -> Iterator[Floor]:
    """Run one of the two apps in a process of its own; a context manager.

    Args:
        kind: "no-op" or "plain".
        tflite: The model of the plain app.
        path: Of a Unix socket, in a folder that nobody else can open; None: a port on loopback.

    Yields:
        The running server.

    Raises:
        ParameterError: There is no such kind, or no model.
        CourseError: It did not start.
    """
    if kind not in KINDS or (kind == "plain" and tflite is None):
        raise ParameterError(
            f"kind is {kind!r} and the model {tflite}. 'no-op' was expected, or 'plain' with a "
            "model: give the path of a .tflite file."
        )
    begun = time.perf_counter()
    given = [kind, str(tflite or ""), str(path or ""), str(os.getpid())]
    process = subprocess.Popen(  # noqa: S603 (our own interpreter)
        programs.command(__name__, *given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None  # noqa: S101 (a pipe)
            address = process.stdout.readline().strip()
            if not address:
                raise CourseError(f"The {kind} server has ended. It was expected to listen.")
            with _ours(address):
                yield Floor(address, process.pid, time.perf_counter() - begun)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _ours(address: str) -> Iterator[None]:
    """Let raw bytes be sent to a port while it is this process's own service."""
    port = urlsplit(address).port if address.startswith("http") else None
    if port is not None:
        guarded_socket.started(port)
    try:
        yield
    finally:
        if port is not None:
            guarded_socket.stopped(port)


def main(kind: str, tflite: str, path: str, parent: str) -> None:
    """Be the server: say the address once the app is ready, serve until the end.

    Args:
        kind: "no-op" or "plain".
        tflite: Path of the model; empty for "no-op".
        path: Of the Unix socket; empty: a port on loopback.
        parent: Number of the process that this one must not outlive.
    """
    import uvicorn

    programs.die_with(int(parent))
    app: Any = no_op if kind == "no-op" else plain(answering(Path(tflite).read_bytes()))
    if path:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
    else:
        listening = socket.create_server(("127.0.0.1", 0))
    port = "" if path else listening.getsockname()[1]
    listening.listen(128)
    settings = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
    print(f"unix:{path}" if path else f"http://127.0.0.1:{port}", flush=True)
    uvicorn.Server(settings).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
