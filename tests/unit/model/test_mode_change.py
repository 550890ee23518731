"""The steps between two modes, and that no call is refused on the way (contract 3.mode-changes)."""

import itertools
from collections.abc import Iterator

import pytest

from mesh.api import mesh_config
from mesh.api.mtls import MtlsMode
from mesh.model.mode_change import ModeChange, Stance, mode_change_of, settled

OFF, PERMISSIVE, STRICT = MtlsMode
OWN = (None, OFF, PERMISSIVE, STRICT)
CHANGES = [pair for pair in itertools.product(MtlsMode, repeat=2) if pair[0] is not pair[1]]


def way(before: MtlsMode, after: MtlsMode) -> Iterator[ModeChange]:
    """Every step from *before* to *after*, both ends too."""
    change = settled(before)
    yield change
    while change != settled(after):
        change = change.turned(after) if change.is_settled else change.next()
        yield change


def passes(caller: Stance, callee: Stance, *, known: bool, tcp: bool, caller_known: bool) -> bool:
    """What the data plane does (docs/reference/nginx-state.md): *known* is what the caller's document has of the callee's identity,
    *caller_known* what the callee's has of the caller's."""
    speaks_tls = caller.mode is not OFF and known
    if caller.mode is STRICT and not known:
        return False
    if speaks_tls:
        # Off passes TLS on a tcp port to the application, unless it knows the source as one of the mesh.
        return callee.mode is not OFF or not tcp or caller_known
    return callee.mode is not STRICT


def call(caller: ModeChange, callee: ModeChange, owns: tuple[MtlsMode | None, MtlsMode | None], *, tcp: bool) -> bool:
    """Whether a call passes while the caller serves the document of one step and the callee that of another."""
    return passes(
        caller.stance(owns[0]),
        callee.stance(owns[1]),
        known=caller.stance(owns[1]).is_called_by_mtls,
        caller_known=callee.stance(owns[0]).is_called_by_mtls,
        tcp=tcp,
    )


@pytest.mark.spec("3.mode-changes")
@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_no_call_that_both_modes_allow_is_refused_between_them(before: MtlsMode, after: MtlsMode, tcp: bool) -> None:
    """Whoever has heard of the next step and whoever has not, pods with a mode of their own among them."""
    for owns in ((caller, callee) for caller in OWN for callee in OWN):
        if not all(call(settled(end), settled(end), owns, tcp=tcp) for end in (before, after)):
            continue
        for one, following in itertools.pairwise(way(before, after)):
            for caller, callee in itertools.product((one, following), repeat=2):
                assert call(caller, callee, owns, tcp=tcp), (owns, caller, callee)


@pytest.mark.spec("3.mode-changes")
@pytest.mark.parametrize(("before", "after"), [(OFF, STRICT), (STRICT, OFF)])
def test_without_steps_calls_would_be_refused(before: MtlsMode, after: MtlsMode) -> None:
    assert not all(
        call(settled(caller), settled(callee), (None, None), tcp=False)
        for caller, callee in itertools.product((before, after), repeat=2)
    )


@pytest.mark.spec("3.mode-changes", "3.modes")
def test_a_pod_that_is_strict_by_itself_stays_strict_on_the_way() -> None:
    """No step weakens what both modes leave strict, and none is stricter than the mode that is meant."""
    for before, after in CHANGES:
        for change in way(before, after):
            assert change.stance(STRICT) is Stance.STRICT
            ends = {settled(before).stance(None), settled(after).stance(None)}
            assert min(ends) <= change.stance(None) <= max(ends)


@pytest.mark.spec("3.mode-changes")
def test_the_way_from_off_to_strict_and_back() -> None:
    up = [change.stance(None) for change in way(OFF, STRICT)]
    assert up == list(Stance)
    assert [change.stance(None) for change in way(STRICT, OFF)] == up[::-1]


@pytest.mark.spec("3.mode-changes")
def test_a_wish_that_changes_on_the_way_turns_back_where_it_is() -> None:
    """Nobody jumps: from between two modes the way back begins with the step that everybody may be in."""
    moving = ModeChange(STRICT, OFF, Stance.ACCEPTING)
    back = moving.turned(STRICT)
    assert back == ModeChange(OFF, STRICT, Stance.ACCEPTING)
    assert back.next().next() == settled(STRICT)
    # A third mode is reached from an end: by then everybody knows that one.
    assert moving.turned(PERMISSIVE) == moving
    assert moving.next() == settled(OFF)


@pytest.mark.spec("3.mode-changes")
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_the_status_gives_back_every_step(before: MtlsMode, after: MtlsMode) -> None:
    """Another replica goes on where this one was; a reason that nobody knows says nothing."""
    for change in way(before, after):
        row = {"type": mesh_config.CONDITION_MODE, "reason": change.reason}
        assert mode_change_of({"status": {"conditions": [row]}}) == change
    assert mode_change_of({"status": {"conditions": [{"type": mesh_config.CONDITION_MODE, "reason": "Else"}]}}) is None
    assert mode_change_of({"status": {}}) is None
