"""What is shown of the sidecars (contract 4.reports)."""

import pytest

from mesh.controller.fleet import Fleet
from mesh.model.reports import SidecarReport
from mesh.model.snapshot import Pod

WEB, CART = Pod("shop", "web", "web", "g1"), Pod("shop", "cart", "cart", "g2")


@pytest.mark.spec("4.reports")
@pytest.mark.parametrize(
    ("report", "state"),
    [
        (None, "silent"),
        (SidecarReport("shop/web", "g1", "1.1", "d1"), "synced"),
        (SidecarReport("shop/web", "g1", "1.0", "old"), "stale"),
        (SidecarReport("shop/web", "g1", "1.0", "old", refused="no"), "refused"),
        (SidecarReport("shop/web", "g1", "1.1", "d1", refused="an older reason"), "synced"),
        (SidecarReport("shop/web", "other", "1.1", "d1"), "silent"),
    ],
)
def test_states(report: SidecarReport | None, state: str) -> None:
    """What is served counts, not what was said of something else."""
    fleet = Fleet()
    fleet.expect([WEB], {"g1": "d1"}, 0.0)
    if report:
        fleet.take_report(report, 1.0)
    (row,) = fleet.states(4.5)
    assert row.state == state
    assert fleet.counts() == (int(state == "synced"), 1)
    assert row.seconds_since_report == (None if state == "silent" else 3.5)


@pytest.mark.spec("4.reports")
def test_a_new_configuration_makes_everybody_stale() -> None:
    """Until they report it."""
    fleet = Fleet()
    fleet.expect([WEB, CART], {"g1": "d1", "g2": "d2"}, 0.0)
    fleet.take_report(SidecarReport("shop/web", "g1", "1.1", "d1", version="1"), 0.0)
    fleet.take_report(SidecarReport("shop/cart", "g2", "1.2", "d2", version="2"), 0.0)
    assert fleet.counts() == (2, 2)
    assert fleet.versions() == ["1", "2"]
    fleet.expect([WEB, CART], {"g1": "d9", "g2": "d2"}, 0.0)
    assert fleet.counts() == (1, 2)


@pytest.mark.spec("4.reports")
def test_pods_that_are_gone_are_forgotten() -> None:
    """A report of a pod that never was, or is no more, takes no memory and shows nowhere."""
    fleet = Fleet()
    fleet.take_report(SidecarReport("made/up", "g"), 0.0)
    fleet.expect([WEB], {"g1": "d1"}, 0.0)
    assert [row.pod for row in fleet.states(0.0)] == ["shop/web"]
    assert fleet.take_report(SidecarReport("shop/web", "g1"), 0.0)
    assert not fleet.take_report(SidecarReport("shop/web", "g1"), 9.0)


@pytest.mark.spec("5.silence")
def test_a_sidecar_that_never_reports_is_noticed() -> None:
    """After its time, counted from when its pod was first seen; a pod without an address has not begun."""
    fleet, started = Fleet(), Pod("shop", "web", "web", "g1", ("10.1.0.1",))
    fleet.expect([started, CART], {}, 10.0)
    fleet.expect([started, CART], {}, 20.0)
    assert fleet.silent(39.0, 30.0) == []
    assert fleet.silent(40.0, 30.0) == ["shop/web"]
    fleet.take_report(SidecarReport("shop/web", "g1"), 41.0)
    assert fleet.silent(99.0, 30.0) == []


@pytest.mark.spec("7.conditions")
def test_progress_is_counted_by_group() -> None:
    """And a pod that runs but has not been heard of is known as such."""
    fleet = Fleet()
    assert fleet.has_unheard()
    more = Pod("shop", "web-1", "web", "g1", ("10.0.0.2",))
    fleet.expect([WEB, more, CART], {"g1": "d1", "g2": "d2"}, 0.0)
    fleet.take_report(SidecarReport("shop/web", "g1", "1.1", "d1"), 0.0)
    assert fleet.progress() == {"g1": (1, 2), "g2": (0, 1)}
    assert fleet.has_unheard()
    fleet.take_report(SidecarReport("shop/web-1", "g1", "1.1", "old"), 0.0)
    assert fleet.progress() == {"g1": (1, 2), "g2": (0, 1)}
    assert not fleet.has_unheard()
