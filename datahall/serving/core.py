"""The service of module 07 in one place: the rooms are small, this is their front door.

What is decided without a socket, in reading order: `defences`, `protocol`, `validation`, `tokens`,
`authority`, `signing`, `repository`, `audit`. What runs: `model`, `service`, `app`, `replica`,
`gateway`, `deployment`, `variants`, `client`. What attacks: `forging`, `hostile`, `attacks`,
`mutants`, `evasion`. What it costs, and what is told of it: `load`, `costing`, `report`.
"""

from datahall.serving.audit import AuditLog, first_altered
from datahall.serving.authority import Authority, create
from datahall.serving.client import ServiceClient
from datahall.serving.defences import LEVELS, Defence, Defences
from datahall.serving.deployment import Deployment, serve
from datahall.serving.protocol import InferRequest, Refusal, RefusedError, Tensor, TensorSpec
from datahall.serving.report import SecurityPage, Tried, page
from datahall.serving.repository import publish, switch
from datahall.serving.signing import Trust, Verified, sign, verified
from datahall.serving.tokens import Claims, Issuer, Keys, decide
from datahall.serving.validation import admit, read
from datahall.serving.variants import variants

__all__ = [
    "LEVELS",
    "AuditLog",
    "Authority",
    "Claims",
    "Defence",
    "Defences",
    "Deployment",
    "InferRequest",
    "Issuer",
    "Keys",
    "Refusal",
    "RefusedError",
    "SecurityPage",
    "ServiceClient",
    "Tensor",
    "TensorSpec",
    "Tried",
    "Trust",
    "Verified",
    "admit",
    "create",
    "decide",
    "first_altered",
    "page",
    "publish",
    "read",
    "serve",
    "sign",
    "switch",
    "variants",
    "verified",
]
