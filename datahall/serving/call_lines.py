"""How a running service is called: files for a client, and lines for curl, Python and tritonclient.

Secrets stand in files of mode 0600, never in a line: a line is seen in the list of processes and
in the shell's history.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datahall.serving.deployment import Deployment
from datahall.serving.guarded_socket import place
from datahall.serving.listeners import write_secret
from datahall.serving.protocol import Tensor, encode_request, model_path

TOKEN_S = 3600.0
RENEW_S = 900.0


@dataclass
class Handed:
    """A folder with what a client of a service needs.

    Attributes:
        service: The running service.
        folder: Where the files are.
        renewed: When the token was made, seconds since 1970; 0 if it never was.
    """

    service: Deployment
    folder: Path
    renewed: float = 0.0

    @classmethod
    def of(cls, service: Deployment) -> Handed:
        """Write the files of a service: root, token, an example request, the client's certificate.

        Args:
            service: A running service.
        """
        made = cls(service, service.nest.make("client"))
        (made.folder / "root.pem").write_text(service.authority_pem, encoding="ascii")
        image = np.zeros((1, 28, 28, 1), np.uint8)
        image[:, 4:24, 13:16] = 255  # a stroke from top to bottom: a one
        body = encode_request([Tensor.of("images", image)]).body
        (made.folder / "request.json").write_bytes(body)
        if service.plan.mtls:
            service.authority.renew("client", into=made.folder)
        made.renew()
        return made

    def renew(self) -> None:
        """Write a new token if the old one is not new any more; a reader sees a whole one.

        By the clock on the wall: while a laptop sleeps its tokens grow old, other clocks stand.
        """
        if 0 <= time.time() - self.renewed < RENEW_S:
            return
        token = self.service.token(lifetime_s=TOKEN_S)
        for name, content in (("token", token), ("token.header", f"Authorization: Bearer {token}")):
            write_secret(self.folder / name, content.encode())
        self.renewed = time.time()

    def curl(self) -> str:
        """Return a command for a shell."""
        own = ["--cert", "client.pem", "--key", "client.key"] if self.service.plan.mtls else []
        files = [word if word.startswith("--") else str(self.folder / word) for word in own]
        words = [
            "curl",
            *("--cacert", str(self.folder / "root.pem")),
            *files,
            *("-H", f"@{self.folder / 'token.header'}"),
            *("-H", "Content-Type: application/json"),
            *("--data-binary", f"@{self.folder / 'request.json'}"),
            self.service.address + model_path(self.service.plan.name, action="infer"),
        ]
        return shlex.join(words)

    def python(self) -> str:
        """Return a program that uses the course's client."""
        own = 'here / "client.pem", here / "client.key"'
        certificate = f", certificate=({own})" if self.service.plan.mtls else ""
        return f"""\
from pathlib import Path
from datahall import datasets
from datahall.serving.client import ServiceClient
here = Path({str(self.folder)!r})
token = (here / "token").read_text()
with ServiceClient({self.service.address!r}, token=token, ca=here / "root.pem"{certificate}) as one:
    print(one.infer(datasets.load("mnist").test.images[:4]).labels)
"""

    def triton(self) -> str:
        """Return a program that uses NVIDIA's client of the same protocol."""
        host, port = place(self.service.address)
        own = 'made.load_cert_chain(here + "/client.pem", here + "/client.key")'
        shown = f"\n    {own}" if self.service.plan.mtls else ""
        return f"""\
import gevent.ssl
import numpy as np
import tritonclient.http as triton
here = {str(self.folder)!r}
def context():
    made = gevent.ssl.create_default_context(cafile=here + "/root.pem"){shown}
    return made
client = triton.InferenceServerClient("{host}:{port}", ssl=True, ssl_context_factory=context)
header = {{"Authorization": "Bearer " + open(here + "/token").read()}}
images = triton.InferInput("images", [1, 28, 28, 1], "UINT8")
images.set_data_from_numpy(np.zeros((1, 28, 28, 1), np.uint8), binary_data=True)
print(client.infer({self.service.plan.name!r}, [images], headers=header).as_numpy("label"))
"""
