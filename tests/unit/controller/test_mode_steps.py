"""When a change of the mode goes on, and who has acknowledged what (contract 3.mode-changes)."""

from dataclasses import replace

import pytest

from mesh.api.mtls import MtlsMode
from mesh.controller.fleet import Fleet
from mesh.controller.mode_steps import Facts, decide
from mesh.model.mode_change import ModeChange, Stance, settled
from mesh.model.reports import SidecarReport
from mesh.model.snapshot import Pod

OFF, PERMISSIVE, STRICT = MtlsMode
ACCEPTING = ModeChange(OFF, STRICT, Stance.ACCEPTING)
WEB, CART = (
    Pod("shop", name, name, group, (address,)) for name, group, address in (("web", "g1", "::1"), ("cart", "g2", "::2"))
)


@pytest.mark.spec("3.mode-changes")
def test_nobody_becomes_strict_before_everybody_has_acknowledged() -> None:
    """The wait names who is waited for, and ends."""
    first = decide(Facts(settled(OFF), STRICT, ()))
    assert first.change == ACCEPTING
    waiting = Facts(ACCEPTING, STRICT, ("shop/web",), 14.9)
    assert decide(waiting).change == ACCEPTING
    assert decide(waiting).message.endswith("; waiting for shop/web")
    assert decide(replace(waiting, waiting=())).change == replace(ACCEPTING, step=Stance.PERMISSIVE)
    assert decide(replace(waiting, waiting=(), kept=replace(ACCEPTING, step=Stance.PERMISSIVE))).change == settled(
        STRICT
    )


@pytest.mark.spec("3.mode-changes")
def test_a_silent_sidecar_is_not_waited_for_for_ever_and_is_named() -> None:
    late = decide(Facts(ACCEPTING, STRICT, ("shop/web",), 15.0))
    assert late.change == replace(ACCEPTING, step=Stance.PERMISSIVE)
    assert late.left == ("shop/web",)
    assert "shop/web" in late.lost


@pytest.mark.spec("3.mode-changes")
def test_while_the_pods_are_not_known_nothing_goes_on() -> None:
    """A controller that has just started would take nobody for everybody."""
    assert decide(Facts(ACCEPTING, STRICT, None, 99.0)).change == ACCEPTING


@pytest.mark.spec("3.mode-changes")
def test_a_mesh_that_begins_has_its_mode_at_once() -> None:
    assert decide(Facts(None, STRICT)).change == settled(STRICT)
    assert decide(Facts(settled(STRICT), STRICT)).message == "mtls.mode strict is in force"


def report(pod: Pod, digest: str, *, serial: str = "7f", mode: str = "permissive") -> SidecarReport:
    return SidecarReport(pod.key, pod.group, "1.1", digest, svid_serial=serial, mode=mode)


@pytest.mark.spec("3.mode-changes")
def test_an_acknowledgement_is_that_of_a_document_of_the_step() -> None:
    """Once given it holds, however often the document changes while others are waited for."""
    fleet = Fleet()
    assert fleet.behind(ACCEPTING) is None
    fleet.expect([WEB, CART], {"g1": "d1", "g2": "d2"}, 0.0, settled(OFF))
    fleet.take_report(report(WEB, "d1"), 0.0)
    assert fleet.behind(ACCEPTING) is None
    fleet.expect([WEB, CART], {"g1": "d3", "g2": "d4"}, 0.0, ACCEPTING)
    assert fleet.behind(ACCEPTING) == ("shop/cart", "shop/web")
    fleet.take_report(report(WEB, "d3"), 0.0)
    fleet.expect([WEB, CART], {"g1": "d5", "g2": "d4"}, 0.0, ACCEPTING)
    assert fleet.behind(ACCEPTING) == ("shop/cart",)


@pytest.mark.spec("3.mode-changes")
def test_who_has_no_certificate_has_not_acknowledged() -> None:
    """It could not answer the mutual TLS that callers send next; a pod that stays off needs none."""
    fleet = Fleet()
    fleet.expect([WEB], {"g1": "d1"}, 0.0, ACCEPTING)
    fleet.take_report(report(WEB, "d1", serial=""), 0.0)
    assert fleet.behind(ACCEPTING) == ("shop/web",)
    fleet.take_report(report(WEB, "d1", serial="", mode="off"), 0.0)
    assert fleet.behind(ACCEPTING) == ()


@pytest.mark.spec("3.mode-changes")
def test_pods_that_begin_or_end_meanwhile_hold_nobody_up() -> None:
    """A new one reads the step's document when it comes; once it has spoken it counts as the others do."""
    fleet = Fleet()
    fleet.expect([WEB], {"g1": "d1"}, 0.0, ACCEPTING)
    fleet.take_report(report(WEB, "d1"), 0.0)
    fleet.expect([WEB, CART], {"g1": "d1", "g2": "d2"}, 0.0, ACCEPTING)
    assert fleet.behind(ACCEPTING) == ()
    fleet.take_report(report(CART, "old"), 0.0)
    assert fleet.behind(ACCEPTING) == ("shop/cart",)
    fleet.expect([WEB, replace(CART, terminating=True)], {"g1": "d1", "g2": "d2"}, 0.0, ACCEPTING)
    assert fleet.behind(ACCEPTING) == ()
