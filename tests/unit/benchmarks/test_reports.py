"""What load generators print is read as they print it, and anything else is refused."""

import json

import pytest

from benchmarks.dataplane.reports import Report, ReportError, parse_bulk, parse_fortio
from benchmarks.dataplane.workloads import BULK, GRPC, HTTP, PLAIN, WORKLOADS, fortio_arguments, order, select

# Cut from fortio 1.68.1.
HTTP_RUN = {
    "RunType": "HTTP",
    "RequestedQPS": "1000",
    "ActualQPS": 988.7,
    "ActualDuration": 2012674256,
    "DurationHistogram": {
        "Count": 1990,
        "Percentiles": [
            {"Percentile": 50, "Value": 0.0001},
            {"Percentile": 90, "Value": 0.0003},
            {"Percentile": 99, "Value": 0.0254},
        ],
    },
    "RetCodes": {"200": 1988, "502": 1, "-1": 1},
    "SocketCount": 17,
}


def test_http() -> None:
    found = parse_fortio(json.dumps(HTTP_RUN), 16)
    assert found == Report(
        operations=1990,
        seconds=pytest.approx(2.012674),  # type: ignore[arg-type]
        failures=2,
        sockets=17,
        p50_ms=pytest.approx(0.1),  # type: ignore[arg-type]
        p90_ms=pytest.approx(0.3),  # type: ignore[arg-type]
        p99_ms=pytest.approx(25.4),  # type: ignore[arg-type]
    )


def test_grpc_counts_its_health_status_and_reports_no_sockets() -> None:
    run = {name: value for name, value in HTTP_RUN.items() if name != "SocketCount"} | {"RetCodes": {"SERVING": 1990}}
    found = parse_fortio(json.dumps(run), 16)
    assert (found.failures, found.sockets) == (0, 16)


def test_a_run_without_answers_has_no_percentiles() -> None:
    run = HTTP_RUN | {"DurationHistogram": {"Count": 0, "Percentiles": None}, "RetCodes": {}}
    assert parse_fortio(json.dumps(run), 16).p99_ms == 0


@pytest.mark.parametrize("text", ["", "Aborting", "[]", "{}", '{"DurationHistogram": null}'])
def test_what_is_no_report_is_refused_with_its_beginning(text: str) -> None:
    with pytest.raises(ReportError, match=r"fortio: got .*, takes the JSON"):
        parse_fortio(text, 16)


def test_bytes_that_did_not_arrive_are_a_failure() -> None:
    assert parse_bulk('{"sent": 10, "received": 10, "seconds": 2.0}') == Report(10, 2.0, 0, sockets=1)
    assert parse_bulk('{"sent": 10, "received": 9, "seconds": 2.0}').failures == 1
    with pytest.raises(ReportError, match="bulk: got 'Traceback'"):
        parse_bulk("Traceback")


def test_fortio_is_told_the_rate_and_the_place() -> None:
    options = fortio_arguments(WORKLOADS[0], "198.18.0.1:80", 4.0)
    assert options[-1] == "http://198.18.0.1:80/"
    assert options[options.index("-qps") + 1] == "1000"
    [grpc] = [workload for workload in WORKLOADS if workload.name == "grpc"]
    assert fortio_arguments(grpc, "198.18.0.1:81", 4.0)[-4:] == ["-ping", "-payload-size", "1024", "198.18.0.1:81"]


def test_rounds_go_forth_and_back() -> None:
    assert [order(["a", "b"], number) for number in range(4)] == [["a", "b"], ["b", "a"], ["a", "b"], ["b", "a"]]


def test_groups_choose_workloads() -> None:
    assert {workload.group for workload in select(["grpc", "tcp"])} == {"grpc", "tcp"}


def test_every_port_is_its_own() -> None:
    ports = [HTTP, GRPC, BULK, PLAIN]
    assert len({port.service for port in ports}) == len({port.application for port in ports}) == len(ports)
