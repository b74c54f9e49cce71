"""What one replica counts, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

BUCKETS_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
"""Bounds of the latency histogram, in seconds: a request costs some tenths of a millisecond."""
CONTENT_TYPE = CONTENT_TYPE_LATEST.replace("application/openmetrics-text", "text/plain")


class Measures:
    """The counters of one replica.

    Args:
        in_flight: Tells how many requests are being answered now.
    """

    def __init__(self, in_flight: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Counter(
            "datahall_requests", "Requests by status and reason.", ["code", "reason"],
            registry=self.registry,
        )  # fmt: skip
        self._latency = Histogram(
            "datahall_latency_seconds", "Time to answer.", buckets=BUCKETS_S,
            registry=self.registry,
        )  # fmt: skip
        self._classes = Counter(
            "datahall_predictions", "Answers by class.", ["label"], registry=self.registry
        )
        self._reloads = Counter(
            "datahall_reloads", "Reloads of the model, well or not.", registry=self.registry
        )
        self._model = Info("datahall_model", "What is served.", registry=self.registry)
        busy = Gauge("datahall_in_flight", "Requests being answered.", registry=self.registry)
        busy.set_function(in_flight)
        self._by_reason: dict[tuple[int, str], Counter] = {}
        self._by_label: dict[int, Counter] = {}

    def serves(self, name: str, version: int, digest: str) -> None:
        """Say which model is served.

        Args:
            name: Its name.
            version: Its number.
            digest: SHA-256 of its `.tflite`.
        """
        self._model.info({"name": name, "version": str(version), "digest": digest})

    def reloaded(self) -> None:
        """Count a reload that has ended, well or not."""
        self._reloads.inc()

    def count(self, status: int, reason: str, took_s: float) -> None:
        """Count one decision.

        Args:
            status: The HTTP status.
            reason: The refusal's word, or `ok`.
            took_s: How long it took, in seconds.
        """
        key = (status, reason)
        child = self._by_reason.get(key)
        if child is None:  # finding a child by its labels costs as much as counting
            child = self._by_reason[key] = self._requests.labels(str(status), reason)
        child.inc()
        self._latency.observe(took_s)

    def predicted(self, labels: NDArray[np.int64]) -> None:
        """Count the classes of an answer, (batch,)."""
        for label in labels.tolist():
            child = self._by_label.get(label)
            if child is None:
                child = self._by_label[label] = self._classes.labels(str(label))
            child.inc()

    def page(self) -> bytes:
        """Return everything as Prometheus' text."""
        return generate_latest(self.registry)
