"""The way to transparent proxies and back, and what becomes of the MeshConfig on it (contract 10.transparent)."""

from dataclasses import replace

import pytest

from mesh.controller.transparency import Facts, decide
from mesh.model.reports import SidecarReport
from mesh.model.transparency import Phase, Reason

STRICT = SidecarReport("shop/web", "g", mode="strict")
OPEN = SidecarReport("shop/web", "g", mode="permissive")
PASSING = SidecarReport("shop/web", "g", mode="permissive", transparent=True)

REMOVAL = Facts(Phase.PROXYING, deleting=True, guarded=False, fleet={"shop/cart": OPEN, "shop/web": STRICT})


@pytest.mark.spec("10.transparent")
def test_nobody_stops_encrypting_before_everybody_takes_plaintext() -> None:
    """A strict sidecar would refuse a transparent caller: one of them keeps the whole mesh in Opening."""
    first = decide(REMOVAL)
    assert (first.phase, first.reason, first.pods, first.release) == (
        Phase.OPENING, Reason.OPENING, ("shop/web",), False,
    )  # fmt: skip
    opening = replace(REMOVAL, phase=Phase.OPENING)
    assert decide(opening).phase is Phase.OPENING
    assert decide(replace(opening, fleet={"shop/cart": OPEN, "shop/web": None})).pods == ("shop/web",)
    then = decide(replace(opening, fleet={"shop/cart": OPEN, "shop/web": OPEN}))
    assert (then.phase, then.reason, then.release) == (Phase.TRANSPARENT, Reason.SPREADING, False)


@pytest.mark.spec("10.removal")
def test_the_mesh_config_goes_when_every_sidecar_is_transparent() -> None:
    """Not one earlier; the status says transparent only then."""
    spreading = replace(REMOVAL, phase=Phase.TRANSPARENT, fleet={"shop/cart": PASSING, "shop/web": OPEN})
    waiting = decide(spreading)
    assert (waiting.transparent, waiting.release, waiting.pods) == (False, False, ("shop/web",))
    assert "1 of 2" in waiting.message
    done = decide(replace(spreading, fleet={"shop/cart": PASSING, "shop/web": PASSING}))
    assert (done.transparent, done.release, done.reason) == (True, True, Reason.ACKNOWLEDGED)
    assert decide(replace(spreading, fleet={})).release


@pytest.mark.spec("10.removal")
def test_pods_that_are_not_known_are_not_none() -> None:
    """A controller that has just started knows of no pod, and lets nothing go for that."""
    for phase in Phase:
        decision = decide(replace(REMOVAL, phase=phase, fleet=None, waited_seconds=99))
        assert not decision.release
        assert not decision.transparent
    assert decide(replace(REMOVAL, phase=Phase.OPENING, fleet=None)).phase is Phase.OPENING


@pytest.mark.spec("10.removal")
def test_a_removal_that_is_not_acknowledged_stops_and_names_the_pods() -> None:
    """While proxies are open or transparent everything flows; whoever repairs the pod, or says so, goes on."""
    late = replace(REMOVAL, phase=Phase.OPENING, waited_seconds=15)
    stopped = decide(late)
    assert (stopped.phase, stopped.reason, stopped.release) == (Phase.OPENING, Reason.OPENING_STOPPED, False)
    assert "shop/web" in stopped.message
    assert "shop/cart" not in stopped.message
    assert decide(replace(late, waited_seconds=14.9)).reason is Reason.OPENING
    assert decide(replace(late, fleet={"shop/cart": OPEN})).phase is Phase.TRANSPARENT
    assert decide(replace(late, anyway=True)).phase is Phase.TRANSPARENT
    spreading = replace(late, phase=Phase.TRANSPARENT)
    assert decide(spreading).reason is Reason.SPREADING_STOPPED
    assert decide(replace(spreading, anyway=True)).release
    assert not decide(replace(spreading, anyway=True)).transparent


@pytest.mark.spec("10.transparent")
def test_who_asks_for_transparent_proxies_waits_for_no_silent_one_for_ever() -> None:
    """By the ConfigMap, when the bus or the authority is lost: those that can be reached become transparent."""
    asked = Facts(Phase.OPENING, asked=True, fleet={"shop/cart": OPEN, "shop/web": None})
    assert decide(asked).phase is Phase.OPENING
    assert decide(replace(asked, waited_seconds=15)).phase is Phase.TRANSPARENT
    assert not decide(replace(asked, phase=Phase.TRANSPARENT, waited_seconds=15)).release


@pytest.mark.spec("10.transparent")
def test_the_way_back_leads_through_opening() -> None:
    """Strict again only when nobody sends plaintext any more."""
    back = Facts(Phase.TRANSPARENT, fleet={"shop/cart": PASSING, "shop/web": OPEN})
    assert decide(back).phase is Phase.OPENING
    opening = replace(back, phase=Phase.OPENING)
    assert (decide(opening).phase, decide(opening).pods) == (Phase.OPENING, ("shop/cart",))
    assert decide(replace(opening, fleet={"shop/cart": OPEN, "shop/web": None})).phase is Phase.PROXYING
    assert decide(replace(opening, fleet=None, waited_seconds=99)).phase is Phase.OPENING
    assert decide(replace(opening, waited_seconds=15)).phase is Phase.PROXYING


@pytest.mark.spec("6.meshconfig")
def test_a_deletion_that_passed_the_guard_is_no_removal() -> None:
    """The object goes and comes back, and no proxy changes; without the guard it stays away, and proxies stay as they are."""
    deleted = replace(REMOVAL, guarded=True)
    decision = decide(deleted)
    assert (decision.phase, decision.release, decision.flag) == (Phase.PROXYING, True, False)
    gone = decide(Facts(Phase.PROXYING, exists=False, guarded=True))
    assert (gone.restore, gone.phase, gone.flag) == (True, Phase.PROXYING, False)
    removed = decide(Facts(Phase.TRANSPARENT, exists=False, guarded=False))
    assert (removed.restore, removed.phase, removed.flag) == (False, Phase.TRANSPARENT, None)
    assert decide(REMOVAL).flag is True


@pytest.mark.spec("10.removal")
def test_the_mesh_config_is_held_while_the_mesh_lives() -> None:
    """From its first day on; not in a namespace that ends, where the controller would end before it could let go."""
    assert decide(Facts(Phase.PROXYING, held=False)).hold
    assert not decide(Facts(Phase.PROXYING)).hold
    assert not decide(replace(REMOVAL, held=False)).hold
    ending = decide(Facts(Phase.PROXYING, namespace_ends=True))
    assert (ending.hold, ending.release) == (False, True)
    assert decide(replace(REMOVAL, namespace_ends=True)).release
    assert not decide(Facts(Phase.PROXYING, exists=False, namespace_ends=True)).restore


@pytest.mark.spec("10.removal")
def test_many_pods_are_counted_not_listed() -> None:
    """A condition's message has a limit."""
    fleet = {f"shop/web-{number:03}": None for number in range(100)}
    message = decide(replace(REMOVAL, phase=Phase.OPENING, fleet=fleet, waited_seconds=15)).message
    assert "shop/web-009 and 90 more" in message
