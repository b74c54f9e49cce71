"""What the service promises over HTTP: bodies, statuses and paths, as OpenAPI tells them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ErrorBody(BaseModel):
    """Why there is no answer."""

    error: str


class ServerLive(BaseModel):
    """The process runs."""

    live: bool


class ServerReady(BaseModel):
    """A model is loaded; `reload` is why the last new one was refused."""

    ready: bool
    reload: str = ""


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, Any] | None = None


class ModelReady(BaseModel):
    """A model is loaded."""

    name: str
    ready: bool


class ResponseTensor(BaseModel):
    """A tensor of an answer."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | None = None
    parameters: dict[str, Any] | None = None


class InferenceResponse(BaseModel):
    """An answer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseTensor]


_RAW = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "enum": ["images"]},
        "datatype": {"type": "string", "enum": ["UINT8"]},
        "shape": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "minItems": 4,
            "maxItems": 4,
            "example": [1, 28, 28, 1],
        },
        "data": {
            "type": "array",
            "description": "Pixels in row order, flat or nested as the shape is.",
            "items": {},
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"binary_data_size": {"type": "integer", "minimum": 0}},
        },
    },
}
_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "maxLength": 128},
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"binary_data_output": {"type": "boolean"}},
        },
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "enum": ["label", "scores"]},
                    "parameters": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"binary_data": {"type": "boolean"}},
                    },
                },
            },
        },
    },
}


def _header(name: str, schema: dict[str, Any], says: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": says}


INFER_EXTRA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _REQUEST}} | _RAW,
    },
    "parameters": [
        _header(
            "Inference-Header-Content-Length",
            {"type": "integer", "minimum": 0},
            "Bytes of JSON at the beginning of the body; raw tensors follow.",
        ),
        _header(
            "Datahall-Nonce",
            {"type": "string", "minLength": 8, "maxLength": 128},
            "Answer a request with this nonce once only.",
        ),
    ],
}
"""What FastAPI cannot read from a function: this body is read by hand."""


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors that a path documents.

    Args:
        statuses: Their HTTP statuses.
    """
    return {status: {"model": ErrorBody} for status in statuses}


INFER_RESPONSES: dict[int | str, dict[str, Any]] = errors(400, 404, 409, 413, 415, 500, 503) | {
    200: {"content": _RAW}
}
