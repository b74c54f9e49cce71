"""What a secure request costs, beside plain FastAPI, MLServer and BentoML, and under attackers.

Processor time of all processes that serve, in microseconds a request: user and system time of the
whole tree. Load comes from another process over connections that stay open (8 at once); rounds go
over all services in turn, each beginning with another one; figures are medians. One image a
request, JSON. All serve the same int8 network with LiteRT on one thread; the secure service has
one replica, TLS 1.3, ES256 tokens, validation, metrics, a chained audit log, limits.

Goals: secure at most 2.2 times plain FastAPI without any security, 0.6 of MLServer's plain default,
0.2 of BentoML's; p99 of honest traffic at 50 requests a second, with 200 slow attackers and huge
headers and bodies, at most twice the undisturbed one; ready within 5 s.

MLServer runs with its defaults (one worker process), and once more in a single process without
debug messages, which is the best that it can do here; the goal is held against the defaults.

MLServer and BentoML stand in environments of their own, which this makes once with pip, in
build/serving_envs (--environments FOLDER; --without mlserver bentoml leaves them out).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from measuring import Spread, finish, options, record, say, table

from datahall import datasets
from datahall.serving import costing, course_model, floors, load, protocol
from datahall.serving.costing import UnderLoad
from datahall.serving.deployment import Deployment, serve
from datahall.serving.gateway_plan import Limits

HERE = Path(__file__).resolve().parent
OTHERS = HERE / "others"
CODE = [f"serving/{name}.py" for name in ("app", "service", "validation", "haproxy_text", "floors")]
PACKAGES = {
    "mlserver": (
        "mlserver==1.7.1",
        "uvloop==0.21.0",
        "ai-edge-litert",
    ),  # its workers need this loop
    "bentoml": ("bentoml==1.4.39", "ai-edge-litert"),
}
FOREIGN: dict[str, tuple[str, dict[str, Any]]] = {
    "MLServer": ("mlserver", {}),
    "MLServer, one process": ("mlserver", {"parallel_workers": 0, "debug": False}),
    "BentoML": ("bentoml", {}),
}
GOALS = {"plain FastAPI": 2.2, "MLServer": 0.6, "BentoML": 0.2}
P99_GOAL, START_GOAL_S = 2.0, 5.0
INFER = protocol.model_path("mnist_cnn", action="infer")
FREE = Limits(rate=10**7, daily_budget=10**8)  # the limits count, and are not reached
START_S, LIMIT_S = 120.0, 900.0


def requests() -> dict[str, Any]:
    """Return one image as the body of a request: V2 as JSON and binary, and BentoML's form."""
    image = datasets.load("mnist").test.images[:1, ..., None]
    tensors = [protocol.Tensor.of("images", image)]
    return {
        "json": protocol.encode_request(tensors),
        "binary": protocol.encode_request(tensors, binary=True),
        "bentoml": orjson.dumps({"images": image.tolist()}),
    }


def environment(name: str, folder: Path) -> Path:
    """Return the folder of an environment with a server, made by pip if it is not there."""
    place = folder / name
    if (place / "ready").exists():
        return place
    say(f"making the environment of {name} in {place}")
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=LIMIT_S)  # noqa: S603
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", *PACKAGES[name]]
    subprocess.run(pip, check=True, timeout=LIMIT_S)  # noqa: S603
    (place / "ready").touch()
    return place


def free_port() -> int:
    """Return a port that is free now; these servers cannot take one that is open already."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def other(
    name: str, place: Path, model: Path, folder: Path, more: dict[str, Any]
) -> Iterator[tuple[str, int]]:
    """Run MLServer or BentoML as its documentation says; yield its address and process."""
    port = free_port()
    if name == "mlserver":
        command = ["mlserver", "start", str(folder)]
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", **ports, **more}
        (folder / "settings.json").write_text(json.dumps(settings))
        runtime = {"name": "mnist_cnn", "implementation": "mlserver_digits.DigitsRuntime"}
        (folder / "model-settings.json").write_text(json.dumps(runtime))
    else:
        command = ["bentoml", "serve", "bentoml_digits:DigitsService"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
    command[0] = str(place / "bin" / command[0])
    variables = os.environ | {"PYTHONPATH": str(OTHERS), "DIGITS_MODEL": str(model)}
    variables |= {"BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 (from the environment that was made above)
            command, cwd=OTHERS, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(30)


def wait_for(address: str, path: str, body: bytes) -> None:
    """Wait until a server replies to a request."""
    asked = urllib.request.Request(  # noqa: S310 (loopback)
        address + path, body, {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=10) as reply:  # noqa: S310
                reply.read()
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def secure_request(service: Deployment, message: protocol.Message) -> bytes:
    """Return the bytes of a request with a token of an hour."""
    token = {"authorization": f"Bearer {service.token(lifetime_s=3600)}"}
    return load.message(INFER, message.body, {**message.headers, **token})


def compare(given: Any, model: Path, folder: Path) -> dict[str, list[float]]:
    """Measure all services in turn; return µs a request, a value a round."""
    bodies = requests()
    plain = load.message(INFER, bodies["json"].body, bodies["json"].headers)
    under: dict[str, UnderLoad] = {}
    with contextlib.ExitStack() as open_:

        def add(name: str, address: str, request: bytes, pids: list[int], ca: str = "") -> None:
            loader = load.Loader(address, request, connections=given.connections, ca_pem=ca)
            under[name] = UnderLoad(open_.enter_context(loader), tuple(pids))

        for kind, name in (("no-op", "no-op ASGI"), ("plain", "plain FastAPI")):
            floor = open_.enter_context(floors.serve(kind, model))
            add(name, floor.address, plain, [floor.pid])
        service = open_.enter_context(serve(limits=FREE))
        for form, name in (("json", "secure"), ("binary", "secure, binary tensors")):
            request = secure_request(service, bodies[form])
            add(name, service.address, request, service.pids(), service.authority_pem)
        for title, (name, more) in FOREIGN.items():
            if name in given.without:
                continue
            own = folder / title
            own.mkdir()
            place = environment(name, given.environments)
            address, pid = open_.enter_context(other(name, place, model, own, more))
            path = INFER if name == "mlserver" else "/infer"
            body = bodies["json"].body if name == "mlserver" else bodies["bentoml"]
            wait_for(address, path, body)
            request = load.message(path, body, {"Content-Type": "application/json"})
            add(title, address, request, [pid])
        say(f"measuring {len(under)} services, {given.rounds} rounds")
        found = costing.interleaved(under, rounds=given.rounds, requests=given.requests)
    refused = {name: cost.refused for name, cost in found.items() if cost.refused}
    if refused:
        raise SystemExit(f"requests were refused: {refused}")
    predict = floors.answering(model.read_bytes())
    image = datasets.load("mnist").test.images[:1, ..., None]
    bare = [costing.function_us(lambda: predict(image), calls=3000) for _ in range(given.rounds)]
    return {"bare model": bare, **{name: list(cost.cpu_us) for name, cost in found.items()}}


def under_attack(given: Any, folder: Path) -> dict[str, Any]:
    """Return p99 of honest traffic in ms, undisturbed and disturbed, and how attackers ended."""
    token_file, ca = folder / "token", folder / "root.pem"
    calm, storm = [], []
    with serve(limits=FREE) as service:
        request = secure_request(service, requests()["json"])
        token_file.touch(mode=0o600)
        token_file.write_text(service.token("mallory", lifetime_s=3600))
        ca.write_text(service.authority_pem)
        with load.Loader(service.address, request, ca_pem=service.authority_pem) as loader:
            attack = [sys.executable, str(OTHERS / "nuisance.py"), str(service.port)]
            attack += [str(given.seconds + 3), str(ca), str(token_file)]
            for _ in range(given.rounds):
                calm.append(loader.run(seconds=given.seconds, rate_per_s=50))
                attackers = subprocess.Popen(attack, stdout=subprocess.PIPE, text=True)  # noqa: S603
                time.sleep(2)  # all are there
                storm.append(loader.run(seconds=given.seconds, rate_per_s=50))
                ended = json.loads(attackers.communicate(timeout=LIMIT_S)[0])
    lost = sum(n for each in calm + storm for status, n in each.statuses.items() if status != 200)
    return {
        "undisturbed_ms": [each.percentile_ms(99) for each in calm],
        "attacked_ms": [each.percentile_ms(99) for each in storm],
        "honest_requests_lost": lost,
        "attackers": ended,
    }


def starting(rounds: int) -> list[float]:
    """Return the seconds from the call to the first answer, for each of some starts."""
    image = datasets.load("mnist").test.images[:1, ..., None]
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        with serve() as service, service.client() as client:
            client.infer(image)
            taken.append(time.perf_counter() - begun)
    return taken


def text(values: dict[str, Any]) -> str:
    """Return the tables for a person."""
    costs = {name: Spread(each) for name, each in values["cpu_us"].items()}
    rows = [
        (name, each.show(0), f"{each.median / costs['bare model'].median:.1f}",
         f"{each.median / costs['plain FastAPI'].median:.2f}")
        for name, each in costs.items()
    ]  # fmt: skip
    attacked = values["under_attack"]
    goals = [
        (f"secure / {name}", f"{found:.2f}", f"≤ {GOALS[name]}")
        for name, found in values["ratios"].items()
    ]
    goals += [
        ("p99 attacked / undisturbed", f"{values['p99_ratio']:.2f}", f"≤ {P99_GOAL}"),
        ("honest requests lost", str(attacked["honest_requests_lost"]), "0"),
        ("start, s", Spread(values["start_s"]).show(), f"≤ {START_GOAL_S:g}"),
    ]
    p99 = [(name, Spread(attacked[f"{name}_ms"]).show()) for name in ("undisturbed", "attacked")]
    return "\n\n".join(
        [
            f"load {os.getloadavg()[0]:.1f}",
            table(["service", "CPU, µs a request", "× bare model", "× plain"], rows),
            table(["p99 of honest traffic", "ms"], p99),
            "attackers: " + ", ".join(f"{n} × {how}" for how, n in attacked["attackers"].items()),
            table(["goal", "found", "bound"], goals),
        ]
    )


def main() -> int:
    """Measure, print, and return 0 if all goals are reached, else 1."""
    parser = options(__doc__, record="build/serving.json")
    parser.add_argument("--environments", type=Path, default=HERE.parent / "build/serving_envs")
    parser.add_argument("--without", nargs="*", choices=PACKAGES, default=())
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--requests", type=int, default=2000, help="to each service, a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of traffic under attack")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = folder / "digits.tflite"
        model.write_bytes(course_model.tflite()[0])
        costs = compare(given, model, folder)
        attacked = under_attack(given, folder)
    middle = {name: Spread(each).median for name, each in costs.items()}
    p99 = [Spread(attacked[name]).median for name in ("attacked_ms", "undisturbed_ms")]
    values = {
        "cpu_us": costs,
        "ratios": {name: middle["secure"] / middle[name] for name in GOALS if name in middle},
        "under_attack": attacked,
        "p99_ratio": p99[0] / p99[1],
        "start_s": starting(given.rounds),
        "versions": {name: PACKAGES[name][0] for name in PACKAGES if name not in given.without},
        "requests": given.requests,
    }
    finish(record("serving", values, code=CODE), text(values), given)
    reached = all(found <= GOALS[name] for name, found in values["ratios"].items())
    steady = values["p99_ratio"] <= P99_GOAL and not attacked["honest_requests_lost"]
    quick = Spread(values["start_s"]).median <= START_GOAL_S
    return 0 if reached and steady and quick else 1


if __name__ == "__main__":
    sys.exit(main())
