"""The files of `deploy/`: manifests of known fields, and a container that has what it needs."""

from __future__ import annotations

import http.client
import importlib.metadata as metadata
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement

from datahall.serving.authority import Authority
from datahall.serving.listeners import listening
from datahall.serving.settings import ServiceSettings
from datahall.serving.unix_http import TIMEOUT_S

pytestmark = pytest.mark.processes


def has(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """A schema of an object that has these fields and no other: a slip in a name is found."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


def many(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1}


TEXT, NUMBER, YES = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
WORDS = {"type": "object", "additionalProperties": TEXT}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(m|Mi|Gi)?$"}
META = has(("name",), name={"type": "string", "pattern": "^[a-z0-9-]{1,63}$"}, labels=WORDS,
           annotations=WORDS)  # fmt: skip
PEER = has(
    namespaceSelector=has(("matchLabels",), matchLabels=WORDS),
    podSelector=has(("matchLabels",), matchLabels=WORDS),
)
PORT = has(("protocol", "port"), protocol={"enum": ["TCP"]}, port=NUMBER)
RULE = has(("from", "ports"), **{"from": many(PEER), "ports": many(PORT)})
POLICY = has(
    ("podSelector", "policyTypes", "ingress", "egress"),
    podSelector=has(("matchLabels",), matchLabels=WORDS),
    policyTypes={"const": ["Ingress", "Egress"]},
    ingress=many(RULE),
    egress={"type": "array"},
)
PROBE = has(
    ("httpGet",), httpGet=has(("path", "port"), path=TEXT, port=NUMBER), periodSeconds=NUMBER
)
CONTAINER = has(
    ("name", "image", "args", "ports", "readinessProbe", "resources", "securityContext"),
    name={"const": "kserve-container"},  # the name that KServe demands
    image=TEXT,
    args=many(TEXT),
    ports=many(has(("containerPort",), name=TEXT, containerPort=NUMBER, protocol=TEXT)),
    readinessProbe=PROBE,
    livenessProbe=PROBE,
    resources=has(
        ("requests", "limits"),
        requests=has(cpu=QUANTITY, memory=QUANTITY),
        limits=has(cpu=QUANTITY, memory=QUANTITY),
    ),
    securityContext=has(
        allowPrivilegeEscalation={"const": False},
        readOnlyRootFilesystem={"const": True},
        capabilities=has(drop={"const": ["ALL"]}),
    ),
    volumeMounts=many(has(("name", "mountPath"), name=TEXT, mountPath=TEXT, readOnly=YES)),
)
VOLUME = has(
    ("name",),
    name=TEXT,
    persistentVolumeClaim=has(("claimName",), claimName=TEXT, readOnly=YES),
    configMap=has(("name",), name=TEXT),
    emptyDir=has(sizeLimit=QUANTITY),
)
PREDICTOR = has(
    ("containers",),
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    timeout=NUMBER,
    automountServiceAccountToken={"const": False},
    securityContext=has(
        runAsNonRoot={"const": True},
        runAsUser=NUMBER,
        runAsGroup=NUMBER,
        fsGroup=NUMBER,
        seccompProfile=has(type={"const": "RuntimeDefault"}),
    ),
    containers=many(CONTAINER),
    volumes=many(VOLUME),
)
KINDS = {
    ("v1", "ConfigMap"): has(("data",), apiVersion=TEXT, kind=TEXT, metadata=META, data=WORDS),
    ("serving.kserve.io/v1beta1", "InferenceService"): has(
        ("spec",), apiVersion=TEXT, kind=TEXT, metadata=META, spec=has(predictor=PREDICTOR)
    ),
    ("networking.k8s.io/v1", "NetworkPolicy"): has(
        ("spec",), apiVersion=TEXT, kind=TEXT, metadata=META, spec=POLICY
    ),
}


def manifests(root: Path) -> dict[str, dict[str, Any]]:
    files = sorted((root / "deploy").glob("*.yaml"))
    found = [one for file in files for one in yaml.safe_load_all(file.read_text("utf-8"))]
    return {one["kind"]: one for one in found}


def test_every_manifest_has_known_fields_of_the_right_kind(root: Path) -> None:
    found = manifests(root)
    assert set(found) == {kind for _, kind in KINDS}
    for one in found.values():
        jsonschema.validate(one, KINDS[one["apiVersion"], one["kind"]])


def test_the_schema_sees_a_slip(root: Path) -> None:
    one = manifests(root)["InferenceService"]
    one["spec"]["predictor"]["containers"][0]["readinessprobe"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(one, KINDS[one["apiVersion"], one["kind"]])


def test_the_parts_of_the_manifests_fit_together(root: Path) -> None:
    found = manifests(root)
    predictor = found["InferenceService"]["spec"]["predictor"]
    (container,) = predictor["containers"]
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in predictor["volumes"]}
    port = container["ports"][0]["containerPort"]
    assert container["args"][-1] == str(port)
    policy = found["NetworkPolicy"]["spec"]
    assert {one["port"] for rule in policy["ingress"] for one in rule["ports"]} == {port}
    chosen = policy["podSelector"]["matchLabels"]["serving.kserve.io/inferenceservice"]
    assert chosen == found["InferenceService"]["metadata"]["name"]
    ServiceSettings.model_validate_json(found["ConfigMap"]["data"]["settings.json"])


def test_the_predictor_serves_with_the_settings_of_the_manifest(
    root: Path, models: Path, authority_here: Authority, tmp_path: Path
) -> None:
    settings = json.loads(manifests(root)["ConfigMap"]["data"]["settings.json"])
    settings["trust"]["root_pem"] = authority_here.root_pem.decode()
    settings |= {"models": str(models), "audit": str(tmp_path / "audit.jsonl")}
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    with listening(0) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "datahall.serving.predictor", str(path)]
    with subprocess.Popen([*words, "--host", "127.0.0.1", "--port", str(port)]) as process:
        try:
            assert ready(port)
        finally:
            process.terminate()
            assert process.wait(60) in (0, -15)


def ready(port: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        try:
            wire.request("GET", "/v2/health/ready")
            return wire.getresponse().status == 200
        except OSError:
            time.sleep(0.1)
        finally:
            wire.close()
    return False


LOADED = """
import sys, importlib.metadata as metadata
import datahall.serving.predictor
from model_signing import hashing, verifying
owners = metadata.packages_distributions()
names = {name for module in sys.modules for name in owners.get(module.partition(".")[0], [])}
print("\\n".join(sorted(names)))
"""


def test_the_container_has_every_package_that_the_app_imports_and_no_tensorflow(
    root: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    loaded = {plain(name) for name in done.stdout.split()} - {"datahall"}
    assert "tensorflow" not in loaded
    text = (root / "deploy" / "requirements.txt").read_text("utf-8")
    asked = [line for line in text.splitlines() if not line.startswith("#")]
    assert loaded - OPTIONAL <= closure(asked)


def test_every_package_of_the_container_is_locked_with_its_hash(root: Path) -> None:
    lock = (root / "requirements.lock").read_text("utf-8")
    locked = {plain(name) for name in re.findall(r"(?m)^([\w.-]+)==", lock)}
    text = (root / "deploy" / "requirements.txt").read_text("utf-8")
    asked = {plain(line) for line in text.splitlines() if not line.startswith("#")}
    assert asked <= locked


# What others import if it happens to be there.
OPTIONAL = {"brotli", "email-validator", "setuptools"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: list[str]) -> set[str]:
    """These packages and what they need, on this system."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = plain(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name)
    return found
