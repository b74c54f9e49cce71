"""The client: images to the service, labels and scores back.

It trusts one root certificate, shows a token, and goes to this machine's loopback unless told
otherwise. `infer` is what a user calls; `request` sends anything and returns what came.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from datahall.serving.guarded_socket import place
from datahall.serving.protocol import (
    Refusal,
    RefusedError,
    Tensor,
    decode_response,
    encode_request,
    model_path,
)
from datahall.serving.repository import MODEL_NAME

LIMIT_S = 30.0


@dataclass(frozen=True)
class Replied:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: With small letters.
        body: As it came.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON says it."""
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Classified:
    """The answer for some images.

    Attributes:
        labels: The classes (images,), int64.
        scores: How sure the model is of each class (images, classes), float32.
        model: Name of the model.
        version: Which version answered.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    model: str
    version: str


class ServiceClient:
    """Speaks the Open Inference Protocol with a service, over one kept connection.

    Args:
        address: `https://127.0.0.1:8443`.
        token: Sent with every request; empty sends none.
        ca: The root that is trusted: PEM, or the file of it. Without one, the system's are.
        certificate: Files of the client's own certificate and key, for mutual TLS.
        name: The model.
        anywhere: Whether another machine may be asked.
        timeout_s: For each reading and writing, in seconds.

    Raises:
        ParameterError: The address is not of the loopback, and `anywhere` is not given.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        ca: Path | str | None = None,
        certificate: tuple[Path, Path] | None = None,
        name: str = MODEL_NAME,
        anywhere: bool = False,
        timeout_s: float = LIMIT_S,
    ) -> None:
        if not anywhere:
            place(address)
        self.address, self.token, self.name = address.rstrip("/"), token, name
        verify: ssl.SSLContext | bool = True
        if address.startswith("https:"):
            pem = ca.read_text(encoding="ascii") if isinstance(ca, Path) else ca
            verify = ssl.create_default_context(cadata=pem)
            if certificate is not None:
                verify.load_cert_chain(*certificate)
        # No proxy of the environment stands between: the token is for the service alone.
        self._http = httpx.Client(
            base_url=self.address, verify=verify, timeout=timeout_s, trust_env=False
        )

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def infer(self, images: NDArray[np.uint8], *, binary: bool = False) -> Classified:
        """Return what the model sees in images.

        Args:
            images: (images, 28, 28, 1) or (images, 28, 28), uint8.
            binary: Send raw bytes in place of JSON numbers.

        Raises:
            RefusedError: The service refuses; the error carries why.
            httpx.HTTPError: It cannot be reached.
        """
        array = np.ascontiguousarray(images, np.uint8).reshape(-1, 28, 28, 1)
        message = encode_request([Tensor.of("images", array)], binary=binary)
        path = model_path(self.name, action="infer")
        came = self._accepted("POST", path, body=message.body, headers=message.headers)
        answer = decode_response(came.body, came.headers)
        found = {tensor.name: tensor.array for tensor in answer.outputs}
        return Classified(found["label"], found["scores"], answer.model, answer.version)

    def ready(self) -> bool:
        """Tell whether the service is ready to infer; no token is needed."""
        try:
            return self.request("GET", "/v2/health/ready").status == 200
        except httpx.HTTPError:
            return False

    def metadata(self) -> Any:
        """Return what the service says of its model.

        Raises:
            RefusedError: It refuses to say.
        """
        return self._accepted("GET", model_path(self.name)).json()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Replied:
        """Send a request and return what comes, whatever its status.

        Args:
            method: `GET`, `POST`, …
            path: Of the service.
            body: Sent as it is.
            headers: Beside the token's, which they may replace.

        Raises:
            httpx.HTTPError: The service cannot be reached.
        """
        own = {"authorization": f"Bearer {self.token}"} if self.token else {}
        given = {name.lower(): value for name, value in (headers or {}).items()}
        came = self._http.request(method, path, content=body or None, headers=own | given)
        return Replied(came.status_code, dict(came.headers), came.content)

    def _accepted(self, method: str, path: str, **more: Any) -> Replied:
        """Send a request again if the connection was closed while it stood idle.

        Every server closes idle connections, and one may be closed while a request is under way.
        It has then not been answered, and asking a model twice does no harm.
        """
        try:
            came = self.request(method, path, **more)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            came = self.request(method, path, **more)
        if came.status != 200:
            raise RefusedError(Refusal(came.status, "refused", _words(came)))
        return came


def _words(came: Replied) -> str:
    try:
        said = came.json()["error"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        said = ""
    return f"The service refuses ({came.status}): {said or 'it does not say why.'}"
