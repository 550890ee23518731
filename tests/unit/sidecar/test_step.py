"""What the agent decides: every event against the states in which it matters. No socket, no clock."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.api.mtls import MtlsMode
from mesh.model import codec, delta, reports
from mesh.model.sidecar_config import SidecarConfig
from mesh.sidecar import step
from mesh.sidecar.control import Status
from mesh.sidecar.step import Apply, Drain, ReadConfig, Say, Send, State
from tests.fakes.authority import Authority

IDENTITY = Authority().issue("/ns/shop/sa/web").context()
START = State(pod="shop/web-0", group="0123456789abcdef", version="1.2.3")
CONFIG = SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "json", "allow")


def message(epoch: int, counter: int, config: SidecarConfig = CONFIG) -> step.ConfigArrived:
    (whole,) = codec.encode(config, codec.Revision(epoch, counter))
    return step.ConfigArrived(whole.headers, whole.payload)


def decoded(config: SidecarConfig, epoch: int, counter: int) -> codec.Decoded:
    return codec.Decoded(config, codec.Revision(epoch, counter), codec.digest(codec.canonical(config)))


def changed(before: codec.Decoded, now: codec.Decoded) -> step.DeltaArrived:
    said = delta.encode(before, now)
    return step.DeltaArrived(said.headers, said.payload)


FIRST = decoded(CONFIG, 1, 1)
SECOND = decoded(dataclasses.replace(CONFIG, log_format="default"), 1, 2)
THIRD = decoded(dataclasses.replace(CONFIG, client_max_body_size=7), 1, 3)


def after(*events: step.Event, state: State = START) -> tuple[State, list[step.Action]]:
    """State after all events, and the actions of the last one."""
    actions: list[step.Action] = []
    for event in events:
        state, actions = step.step(state, event)
    return state, actions


def kinds(actions: list[step.Action]) -> list[type]:
    return [type(action) for action in actions if not isinstance(action, Say)]


def sent(actions: list[step.Action]) -> reports.SidecarReport:
    (found,) = [action.report for action in actions if isinstance(action, Send)]
    return found


def applied(revision: str, **fields: object) -> step.Applied:
    return step.Applied(Status(revision=revision, ready=True, **fields))  # type: ignore[arg-type]


def beacon(epoch: int, counter: int, at: float) -> step.BeaconArrived:
    return step.BeaconArrived(reports.encode_beacon(reports.Beacon(codec.Revision(epoch, counter))), at)


def test_an_identity_is_applied_at_once() -> None:
    """Also before any configuration."""
    state, actions = after(step.IdentityArrived(IDENTITY))
    assert (state.identity, kinds(actions)) == (IDENTITY, [Apply])


def test_a_newer_configuration_is_applied() -> None:
    """And the acknowledgement waits for NGINX."""
    state, actions = after(message(1, 1), message(1, 2))
    assert (state.revision, kinds(actions)) == (codec.Revision(1, 2), [Apply])


@pytest.mark.parametrize("late", [(1, 1), (1, 2), (0, 9)])
def test_older_and_equal_ones_are_ignored(late: tuple[int, int]) -> None:
    """A message that was delayed, sent twice, or comes from a leader that was replaced."""
    state, actions = after(message(1, 2), message(*late))
    assert (state.revision, actions) == (codec.Revision(1, 2), [])


def test_a_new_epoch_wins_over_a_high_counter() -> None:
    """A new leader counts from the start."""
    assert after(message(1, 99), message(2, 0))[0].revision == codec.Revision(2, 0)


def test_what_nginx_had_before_the_agents_start_counts() -> None:
    """Older than that is ignored; the same is taken once, and its digest told; newer is taken."""
    found = step.NginxRuns(Status(revision="4.17"))
    assert kinds(after(found, message(4, 16))[1]) == []
    state, actions = after(found, message(4, 17))
    assert kinds(actions) == [Apply, Send]
    assert sent(actions).digest == message(4, 17).headers["Mesh-Digest"]
    assert kinds(after(message(4, 17), state=state)[1]) == []
    assert kinds(after(found, message(4, 18))[1]) == [Apply]


@pytest.mark.parametrize(
    "bad",
    [
        step.ConfigArrived({}, b"rubbish"),
        dataclasses.replace(message(1, 3), payload=b"{}"),
        step.ConfigArrived(dict(message(1, 3).headers) | {"Mesh-Format": "2"}, message(1, 3).payload),
    ],
    ids=["no headers", "wrong digest", "future format"],
)
def test_a_bad_configuration_keeps_the_last_good_one(bad: step.ConfigArrived) -> None:
    """The controller is told why, and what is still served."""
    state, actions = after(message(1, 2), applied("1.2"), bad)
    assert state.revision == codec.Revision(1, 2)
    assert kinds(actions) == [Send]
    assert (sent(actions).revision, bool(sent(actions).refused)) == ("1.2", True)


def test_the_acknowledgement_says_what_nginx_has() -> None:
    """Revision, digest and certificate of NGINX's own status, not of what was sent to it."""
    config = message(1, 1)
    state, _ = after(step.IdentityArrived(IDENTITY), config)
    _, actions = after(applied("1.1", svid_serial="ab", svid_not_after=77), state=state)
    assert sent(actions) == reports.SidecarReport(
        pod="shop/web-0",
        group="0123456789abcdef",
        revision="1.1",
        digest=config.headers["Mesh-Digest"],
        svid_serial="ab",
        svid_not_after=77,
        version="1.2.3",
    )
    _, actions = after(applied("1.0"), state=state)
    assert (sent(actions).revision, sent(actions).digest) == ("1.0", "")


def test_the_initial_document_is_no_revision() -> None:
    """``-`` is nothing to boast of."""
    _, actions = after(step.NginxRuns(Status(revision="-")))
    assert (kinds(actions), sent(actions).revision) == ([Apply, Send], "")


def test_an_unchanged_status_is_not_reported_again() -> None:
    """Rotations of a certificate that NGINX already has make no noise."""
    state, _ = after(message(1, 1), applied("1.1"))
    assert after(applied("1.1"), state=state)[1] == []


REFUSED = step.ApplyRefused("1.2", "state:3: mode: got x")


def test_a_refused_configuration_falls_back() -> None:
    """The one before is what NGINX should have; the refused one is not tried again; a newer one is."""
    state, actions = after(message(1, 1), applied("1.1"), message(1, 2), REFUSED)
    assert state.accepted
    assert (state.accepted.revision, kinds(actions), sent(actions).refused) == ((1, 1), [Send], REFUSED.reason)
    state, actions = after(applied("1.1"), message(1, 2), state=state)
    assert (actions, state.refused) == ([], REFUSED.reason)
    state, actions = after(message(1, 3), state=state)
    assert (kinds(actions), state.refused) == ([Apply], "")


@pytest.mark.spec("7.unsearchable")
def test_what_cannot_be_searched_is_told_of_what_is_served() -> None:
    """Once, with the revision that is served; a later one without it takes it back."""
    told = step.Applied(Status(revision="1.1", unsearchable="state:9: path"))
    state, actions = after(message(1, 1), told)
    report = sent(actions)
    assert (kinds(actions), report.revision, report.refused) == ([Send], "1.1", "state:9: path")
    assert report.digest
    assert after(told, state=state)[1] == []
    assert sent(after(message(1, 2), applied("1.2"), state=state)[1]).refused == ""


def test_a_refused_certificate_is_no_fault_of_the_configuration() -> None:
    """The configuration stays; the reason is told."""
    state, actions = after(message(1, 1), step.ApplyRefused("1.1", "svid.pem: no key"))
    assert state.accepted
    assert (state.accepted.revision, sent(actions).refused) == ((1, 1), "svid.pem: no key")


def test_a_refusal_that_comes_late_does_not_undo_a_newer_one() -> None:
    """While 1.2 was being refused, 1.3 arrived."""
    state, _ = after(message(1, 1), applied("1.1"), message(1, 2), message(1, 3), REFUSED)
    assert state.accepted
    assert state.accepted.revision == (1, 3)


def test_connecting_reads_and_says_hello() -> None:
    """In this order: the hello tells the controller of a sidecar without a configuration."""
    assert kinds(after(step.BusConnected(0.0))[1]) == [ReadConfig, Send]


def test_a_manifest_makes_it_read() -> None:
    """The chunks are in the stream."""
    assert kinds(after(step.ManifestArrived())[1]) == [ReadConfig]


@pytest.mark.spec("4.deltas")
def test_a_change_that_fits_is_applied() -> None:
    """One after the other, each on what the one before made."""
    state, actions = after(message(1, 1), changed(FIRST, SECOND), changed(SECOND, THIRD))
    assert (state.accepted, kinds(actions)) == (THIRD, [Apply])


@pytest.mark.spec("4.deltas")
@pytest.mark.parametrize(
    "events",
    [
        [changed(FIRST, SECOND)],
        [message(1, 1), changed(SECOND, THIRD)],
        [message(1, 1), step.DeltaArrived(changed(FIRST, SECOND).headers, b"{}")],
        [message(1, 1), step.DeltaArrived({**changed(FIRST, SECOND).headers, "Mesh-Format": "2"}, b"{}")],
        [message(1, 1), step.DeltaArrived({"Mesh-Base": "x"}, b"")],
    ],
    ids=["nothing to change", "another base", "another outcome", "a higher format", "no revision"],
)
def test_a_change_that_does_not_fit_makes_it_read(events: list[step.Event]) -> None:
    """The whole is in the stream before anybody hears of a change; nothing is refused for it."""
    before, _ = after(*events[:-1])
    state, actions = step.step(before, events[-1])
    assert (state, kinds(actions)) == (before, [ReadConfig])


@pytest.mark.spec("4.deltas")
def test_a_change_that_was_read_already_is_ignored() -> None:
    """It was in the stream when the sidecar read; a delayed one of a leader that was replaced is no news, either."""
    state, _ = after(message(2, 1))
    late = [changed(FIRST, SECOND), changed(decoded(CONFIG, 1, 8), decoded(CONFIG, 2, 1))]
    assert after(*late, state=state) == (state, [])
    assert after(changed(THIRD, SECOND), state=state) == (state, [])


@pytest.mark.spec("4.deltas")
def test_a_notice_is_a_new_revision_for_who_has_it_and_a_reading_for_others() -> None:
    """A new leader says what is current without sending it to everybody again."""
    said = delta.encode_notice(FIRST.digest, codec.Revision(2, 1))
    notice = step.DeltaArrived(said.headers, said.payload)
    state, actions = after(message(1, 1), notice)
    assert (state.revision, state.config, kinds(actions)) == (codec.Revision(2, 1), CONFIG, [Apply])
    assert kinds(after(message(1, 1), changed(FIRST, SECOND), notice)[1]) == [ReadConfig]


@pytest.mark.spec("4.deltas")
def test_a_change_of_what_nginx_refused_makes_it_read() -> None:
    """The refused one is not there to be changed."""
    state, _ = after(message(1, 1), applied("1.1"), changed(FIRST, SECOND), step.ApplyRefused("1.2", "state:3: bad"))
    assert kinds(after(changed(SECOND, THIRD), state=state)[1]) == [ReadConfig]


def test_beacons() -> None:
    """Steady ones cost nothing; a new leader or one after silence makes it read and report, spread in time."""
    state, actions = after(step.BusConnected(100), beacon(1, 5, 101), beacon(1, 5, 106))
    assert actions == []
    assert kinds(after(beacon(2, 0, 107), state=state)[1]) == [ReadConfig, Send]
    _, actions = after(beacon(1, 5, 122), state=state)
    assert kinds(actions) == [ReadConfig, Send]
    assert ReadConfig(spread=True) in actions


def test_news_for_others_are_looked_at_now_and_then() -> None:
    """What was lost unnoticed is found in the end, and an idle cluster is not read at all."""
    state, _ = after(step.BusConnected(0), message(1, 5), beacon(1, 5, 1))
    times = [5.0 * number for number in range(1, 200)]
    reads = []
    for at in times:
        state, actions = step.step(state, beacon(1, 6, at))
        reads += [at for action in actions if isinstance(action, ReadConfig)]
    assert len(reads) == 1
    assert step.RECHECK_SECONDS < reads[0] <= step.RECHECK_SECONDS + 5


def test_a_bad_beacon_is_told_and_forgotten() -> None:
    """It changes nothing."""
    state, actions = after(step.BeaconArrived(b"[]", 1.0))
    assert (state, [type(action) for action in actions]) == (START, [Say])


def test_draining_survives_a_restart_of_nginx() -> None:
    """A new NGINX accepts again until it is told not to."""
    state, actions = after(step.StopRequested())
    assert actions == [Drain()]
    assert Drain() in after(step.NginxRuns(Status()), state=state)[1]
    assert Drain() not in after(step.NginxRuns(Status()))[1]


EVENTS = st.one_of(
    st.builds(message, st.integers(0, 3), st.integers(0, 5)),
    st.builds(lambda epoch, counter: applied(f"{epoch}.{counter}"), st.integers(0, 3), st.integers(0, 5)),
    st.builds(lambda epoch, counter: step.ApplyRefused(f"{epoch}.{counter}", "state: no"), *[st.integers(0, 5)] * 2),
    st.builds(beacon, st.integers(0, 3), st.integers(0, 5), st.floats(0, 1000)),
    st.builds(step.ConfigArrived, st.dictionaries(st.text(), st.text()), st.binary()),
    st.builds(step.BeaconArrived, st.binary(), st.floats(0, 1000)),
    st.just(step.ManifestArrived()),
    st.just(step.ReportDue()),
    st.just(step.BusConnected(1.0)),
)


@given(st.lists(EVENTS, max_size=30))
def test_the_newest_revision_never_goes_back(events: list[step.Event]) -> None:
    """Whatever order events come in: a configuration once accepted is replaced by newer ones or its predecessor only."""
    state, newest = START, codec.Revision(-1, -1)
    for event in events:
        before = state.accepted
        state, _ = step.step(state, event)
        if state.accepted is not before and state.accepted is not None and not isinstance(event, step.ApplyRefused):
            assert state.accepted.revision > newest
            newest = state.accepted.revision
