"""Numbers about the service, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable

from pyg_sgm.serve._fastapi import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32)
_SCORED = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)


class Meters:
    """Counts requests and searches.

    Args:
        images (callable): Number of images of the index.
        waiting (callable): Number of searches that wait.
    """

    def __init__(self, images: Callable[[], int], waiting: Callable[[], int]) -> None:
        self._registry = own = CollectorRegistry()
        self.paths: set[str] = set()  # that are named; whatever else is asked for is "other"
        by = ["path", "status"]
        self._requests = Counter("pyg_sgm_requests", "Requests.", by, registry=own)
        self._seconds = Histogram(
            "pyg_sgm_request_seconds", "Seconds of a request.", ["path"],
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self._batches = Histogram(
            "pyg_sgm_batch_queries", "Searches that went together.", buckets=_SIZES, registry=own
        )
        self._scored = Histogram(
            "pyg_sgm_images_scored", "Images scored exactly for a search.",
            buckets=_SCORED, registry=own,
        )  # fmt: skip
        self.count_batch = self._batches.observe
        self.count_scored = self._scored.observe
        Gauge("pyg_sgm_images", "Images of the index.", registry=own).set_function(images)
        Gauge("pyg_sgm_waiting", "Searches that wait.", registry=own).set_function(waiting)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request that is done.

        Args:
            path (str): What was asked for.
            status (int): Of the answer.
            seconds (float): That it took.
        """
        path = path if path in self.paths else "other"
        self._requests.labels(path, f"{status}").inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All numbers."""
        return generate_latest(self._registry)
