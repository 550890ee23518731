"""Block until an object is ready or gone, within a time limit, and let Ctrl-C end it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from embedded.plugins.kubernetes import pods, readiness, wait_for
from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import ApiError
from embedded.plugins.kubernetes.properties import Object
from embedded.plugins.kubernetes.state import annotation

DEFAULT_SECONDS = 600.0
_SETTLE_SECONDS = 1.0
_SLOWEST_SECONDS = 1.0


class NotReady(Exception):
    """The object is in the cluster and did not become ready; ``live`` is the last that was seen of it."""

    def __init__(self, summary: str, reasons: list[str], live: Object) -> None:
        super().__init__(summary)
        self.reasons, self.live = [summary, *reasons], live


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, what ends it early, whom to tell."""

    stop: threading.Event
    tell: Callable[[str], None]
    limit_seconds: float = 0.0

    def seconds(self, inputs: Object) -> float:
        """The resource's custom timeout, else its annotation, else ten minutes."""
        if self.limit_seconds:
            return self.limit_seconds
        annotated = annotation(inputs, "pulumi.com/timeoutSeconds")
        return float(annotated) if annotated.isdigit() and int(annotated) else DEFAULT_SECONDS


def until_ready(live: Object, inputs: Object, cluster: Cluster, patience: Patience) -> Object:
    """The object once it is ready; NotReady with reasons when it fails, the time is up or the update is cancelled."""
    if annotation(inputs, "pulumi.com/skipAwait") == "true":
        return live
    annotated = annotation(inputs, "pulumi.com/waitFor")
    expectations = wait_for.parse(annotated) if annotated else None
    limit = patience.seconds(inputs)
    end, pause, settled = time.monotonic() + limit, 0.1, live["kind"] != "Service"
    while True:
        why = _missing(live, cluster, expectations)
        if why is None and settled:
            return live
        if why is None:
            # Endpoints trail the pods by a moment; a Service is ready when it stays so.
            settled, why, pause = True, "its endpoints are settling", _SETTLE_SECONDS
            if _needs_no_endpoints(live):
                return live
        patience.tell(why)
        if time.monotonic() > end:
            raise NotReady(f"not ready after {limit:.0f} s: {why}", pods.reasons(live, cluster), live)
        if patience.stop.wait(pause):
            raise NotReady(f"cancelled while waiting: {why}", pods.reasons(live, cluster), live)
        pause = min(_SLOWEST_SECONDS, pause * 1.5)
        try:
            live = cluster.get(live)
        except ApiError as error:
            raise NotReady(f"lost while waiting: {error.message}", [], live) from error


def _needs_no_endpoints(service: Object) -> bool:
    spec = service["spec"]
    return spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector")


def _missing(live: Object, cluster: Cluster, expectations: list[wait_for.Expectation] | None) -> str | None:
    if expectations is not None:
        return next((why for expectation in expectations if (why := expectation.missing(live))), None)
    try:
        return readiness.missing(live, cluster)
    except readiness.Failed as failure:
        raise NotReady(str(failure), pods.reasons(live, cluster), live) from failure


def until_gone(item: Object, inputs: Object, cluster: Cluster, patience: Patience) -> None:
    """Return once the object, or this incarnation of it, is no more; NotReady names what holds it."""
    uid = item["metadata"].get("uid")
    limit = patience.seconds(inputs)
    end, pause = time.monotonic() + limit, 0.05
    while True:
        try:
            live = cluster.get(item)
        except NoSuchKind:
            return
        except ApiError as error:
            if error.status == 404:
                return
            raise
        if uid and live["metadata"].get("uid") != uid:
            return
        finalizers = ", ".join(live["metadata"].get("finalizers") or [])
        why = f"still being deleted{f', held by its finalizers: {finalizers}' if finalizers else ''}"
        patience.tell(why)
        if time.monotonic() > end:
            raise NotReady(f"not gone after {limit:.0f} s: {why}", [], live)
        if patience.stop.wait(pause):
            raise NotReady(f"cancelled while waiting: {why}", [], live)
        pause = min(_SLOWEST_SECONDS, pause * 1.5)
