"""The sidecar's report and the controller's beacon on the bus (design 7, contract 4.reports)."""

import pytest

from mesh.api.errors import InvalidInputError
from mesh.model import reports
from mesh.model.codec import Revision
from mesh.model.reports import Beacon, SidecarReport

REPORT = SidecarReport("shop/web-0", "0123456789abcdef", "3.7", "d1", "", "0a", 1_800_000_000, "1.0.0")


@pytest.mark.spec("4.reports")
def test_report_bytes_are_fixed() -> None:
    """A report is the same JSON in every version of format 1, and reads back."""
    payload = reports.encode_report(REPORT)
    assert payload == (
        b'{"digest":"d1","group":"0123456789abcdef","mode":"","pod":"shop/web-0","refused":"","revision":"3.7",'
        b'"svidNotAfter":1800000000,"svidSerial":"0a","transparent":false,"version":"1.0.0"}'
    )
    assert reports.decode_report(payload) == REPORT


@pytest.mark.spec("4.reports")
def test_unknown_fields_are_ignored_and_absent_ones_empty() -> None:
    """Older and newer sidecars are understood."""
    assert reports.decode_report(b'{"pod":"a/b","group":"g","later":[1]}') == SidecarReport("a/b", "g")


def test_line_breaks_in_a_reason_become_blanks() -> None:
    """A reason of several lines stays one report, one log line."""
    payload = reports.encode_report(SidecarReport("a/b", "g", refused="one\ntwo"))
    assert reports.decode_report(payload).refused == "one two"


@pytest.mark.spec("4.reports")
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"pod":1}',
        b'{"pod":"a\\nb"}',
        b'{"svidNotAfter":-1}',
        b'{"svidNotAfter":true}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_bad_reports_are_refused(payload: bytes) -> None:
    """Any sidecar may send anything: nothing but InvalidInputError comes of it."""
    with pytest.raises(InvalidInputError):
        reports.decode_report(payload)


def test_beacon_reads_back() -> None:
    """The beacon carries the highest revision published."""
    beacon = Beacon(Revision(4, 12))
    assert reports.encode_beacon(beacon) == b'{"revision":"4.12"}'
    assert reports.decode_beacon(reports.encode_beacon(beacon)) == beacon


@pytest.mark.parametrize("payload", [b"{}", b'{"revision":4}', b"4.12"])
def test_bad_beacons_are_refused(payload: bytes) -> None:
    """A beacon without a revision is no beacon."""
    with pytest.raises(InvalidInputError):
        reports.decode_beacon(payload)
