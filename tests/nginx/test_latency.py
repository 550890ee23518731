"""How long responses took, as a histogram per endpoint and exact status (contract 8.latency)."""

import re

import pytest

from tests.nginx.conftest import Pair
from tests.nginx.sidecar import Sidecar, wait_until

NAME = "nginxplus_upstream_server_response_latency_ms"
_SERIES = re.compile(r'(?P<name>\w+)\{(?P<labels>.*),code="(?P<code>\d+)"(?:,le="(?P<le>[^"]+)")?\}')


def histogram(sidecar: Sidecar, code: int) -> tuple[dict[str, float], float, float, str]:
    """Buckets by bound, sum, count and the other labels of the only series of *code*."""
    buckets: dict[str, float] = {}
    totals = {"_sum": 0.0, "_count": 0.0}
    labels = set()
    for series, value in sidecar.metrics().items():
        match = _SERIES.fullmatch(series)
        if match is None or not match["name"].startswith(NAME) or match["code"] != str(code):
            continue
        labels.add(match["labels"])
        if match["le"]:
            buckets[match["le"]] = value
        else:
            totals[match["name"].removeprefix(NAME)] = value
    assert len(labels) == 1, labels
    return buckets, totals["_sum"], totals["_count"], labels.pop()


@pytest.mark.spec("8.latency")
def test_responses_are_counted_by_time_and_exact_status(pair: Pair) -> None:
    """Cumulative buckets, their sum and count, on both sides, with the labels that the other families have."""
    with pair.caller() as caller:
        for _ in range(5):
            assert caller.request("GET", "/").status == 200
        assert caller.request("GET", "/status/404").status == 404
        pair.app.delay_seconds = 0.35
        for _ in range(3):
            assert caller.request("GET", "/").status == 200
    for sidecar in (pair.client, pair.server):
        buckets, total, count, labels = histogram(sidecar, 200)
        assert count == buckets["+Inf"] == 8
        assert total >= 3 * 350
        assert 0 <= buckets["300"] <= 5
        assert buckets["60000"] == 8
        bounds = sorted(buckets, key=float)
        assert [buckets[bound] for bound in bounds] == sorted(buckets.values())
        assert f"nginxplus_upstream_server_requests{{{labels}}}" in sidecar.metrics()
        assert histogram(sidecar, 404)[2] == 1


@pytest.mark.spec("8.latency")
@pytest.mark.spec("6.recovery")
def test_histograms_outlive_nginx(pair: Pair) -> None:
    """They go on where they were after master and workers were killed."""
    with pair.caller() as caller:
        for _ in range(3):
            caller.request("GET", "/")
    # The last is counted after its answer has left: a kill may come between.
    wait_until(lambda: histogram(pair.client, 200)[2] == 3, "the third count")
    pair.client.restart()
    with pair.caller() as caller:
        caller.request("GET", "/")
    assert histogram(pair.client, 200)[2] == 4
