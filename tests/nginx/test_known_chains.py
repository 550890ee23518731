"""A chain that was verified is not verified again, and nothing is believed that would not be without that (contract 3.known-chains)."""

import dataclasses
import datetime as dt
import subprocess
from pathlib import Path

import pytest

from tests.fakes.authority import Authority, Issued
from tests.nginx import binary, source
from tests.nginx.conftest import CLIENT, SERVER, Pair
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until
from tests.nginx.test_mutual_tls import call_by_tls

HERE = Path(__file__).parent
DRIVER = HERE / "chains_driver.c"
PARTS = ("ngx_mesh_identity.c", "ngx_mesh_chains.c")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-sanitize=shift,nonnull-attribute"]
DRIVER_SECONDS = 240.0
# OpenSSL's X509_V_ERR_*.
NOT_YET_VALID, EXPIRED, NO_ISSUER, BAD_SIGNATURE, PURPOSE = 9, 10, 20, 7, 26
ROOM = 512

# The first test that asks for the driver makes it: only the tests themselves are timed.
pytestmark = pytest.mark.timeout(300, func_only=True)

Step = tuple[bool, int, int]


@pytest.fixture(scope="module")
def steps() -> dict[str, Step]:
    """What the driver saw: accepted, OpenSSL's error, how many were known."""
    nginx = source.ensure()
    root = binary.ensure().root
    compiler = ["gcc", "-O1", "-g", "-rdynamic", *SANITIZERS]
    made_of = source.digest(nginx, [DRIVER], [root.name, *compiler])
    with binary.locked() as place:
        program = place / f"chains-{made_of}"
        if not program.exists():
            part = program.with_suffix(".part")
            files = map(str, [DRIVER, *source.parts(nginx, *PARTS)])
            command = [*compiler, *source.options(nginx), *files, "-o", str(part), "-lssl", "-lcrypto"]
            binary.run(binary.inside(root, [HERE.parents[1], place], command), place / "chains.log")
            part.rename(program)
    command = binary.inside(root, [program.parent], [str(program)])
    done = subprocess.run(command, capture_output=True, text=True, timeout=DRIVER_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    rows = (line.split() for line in done.stdout.splitlines())
    return {name: (accepted == "1", int(error), int(known)) for name, accepted, error, known in rows}


@pytest.mark.spec("3.known-chains")
@pytest.mark.parametrize("name", ["again", "other-side-again", "caller-again", "deep-again", "middle-until", "until"])
def test_the_same_chain_is_known(steps: dict[str, Step], name: str) -> None:
    """The same bytes for the same side under the same bundle, up to the last second of all certificates."""
    assert steps[name] == (True, 0, 1)


@pytest.mark.spec("3.known-chains")
@pytest.mark.parametrize("name", ["first", "other-side", "more-sent", "caller", "deep", "bundle-after", "new-bundle"])
def test_anything_else_is_verified(steps: dict[str, Step], name: str) -> None:
    """Another side, one certificate more, another bundle with the same root: accepted after it was verified."""
    known = 1 if name == "bundle-after" else 0
    assert steps[name] == (True, 0, known)


@pytest.mark.spec("3.known-chains")
@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("twin", {BAD_SIGNATURE, NO_ISSUER}),
        ("twin-again", {BAD_SIGNATURE, NO_ISSUER}),
        ("caller-serves", {PURPOSE}),
        ("bundle-before", {BAD_SIGNATURE, NO_ISSUER}),
        ("root-gone", {BAD_SIGNATURE, NO_ISSUER}),
        ("deep-alone", {NO_ISSUER}),
        ("too-early", {NOT_YET_VALID}),
        ("middle-expired", {EXPIRED}),
        ("expired", {EXPIRED}),
    ],
)
def test_what_is_wrong_is_refused(steps: dict[str, Step], name: str, errors: set[int]) -> None:
    """Same names of another authority, an SVID for callers that serves, a root that is gone, a chain that lacks a link, and time."""
    accepted, error, known = steps[name]
    assert not accepted
    assert error in errors
    assert known == 0


@pytest.mark.spec("3.known-chains")
def test_room_is_bounded(steps: dict[str, Step]) -> None:
    """Of 1,000 peers each is accepted both times, and at most as many as there is room for are known."""
    accepted, _, known = steps["many"]
    assert accepted
    assert 0 < known <= ROOM


@pytest.mark.spec("3.known-chains")
def test_a_bundle_that_is_taken_away_refuses_a_known_chain_at_once(pair: Pair, plain_pod: Pod) -> None:
    """And when it comes back, the chain is verified before it is known again."""

    def calls() -> bool:
        return call_by_tls(plain_pod, pair.server.pod.address, caller)

    def known() -> int:
        return int(pair.server.status()["known_chains"])

    caller = pair.issue(CLIENT)
    assert calls()
    assert known() == 0
    assert calls()
    assert known() == 1
    pair.server.apply(None, Authority().issue(SERVER))
    assert not calls()
    wait_until(lambda: pair.server.handshakes("incoming", "untrusted") == 1, "the count")
    pair.server.apply(None, pair.issue(SERVER))
    assert calls()
    assert known() == 1
    assert calls()
    assert known() == 2


@pytest.mark.spec("3.known-chains")
def test_a_known_chain_proves_nothing_without_its_key(pair: Pair, plain_pod: Pod) -> None:
    """Who presents a pod's certificate, which is no secret, and signs with another key is refused."""
    caller = pair.issue(CLIENT)
    assert call_by_tls(plain_pod, pair.server.pod.address, caller)
    assert call_by_tls(plain_pod, pair.server.pod.address, caller)
    assert not call_by_tls(plain_pod, pair.server.pod.address, with_key_of(caller, pair.issue(CLIENT)))
    assert pair.server.status()["known_chains"] == 2
    assert pair.app.requests == ["/probe", "/probe"]


def with_key_of(issued: Issued, other: Issued) -> Issued:
    """*issued* with the secret number of *other* beside its own public key, so that no library finds them unlike."""
    return dataclasses.replace(issued, key=issued.key.replace(secret(issued), secret(other)))


def secret(issued: Issued) -> bytes:
    """The secret number of a P-256 key in PKCS#8: 32 bytes after the version of ECPrivateKey (RFC 5915)."""
    mark = b"\x02\x01\x01\x04\x20"
    start = issued.key.index(mark) + len(mark)
    return issued.key[start : start + 32]


@pytest.mark.spec("3.known-chains")
def test_a_known_chain_expires(pair: Pair, plain_pod: Pod) -> None:
    """A certificate that was accepted and known is refused once it has expired."""
    before = pair.server.status()["known_chains"]
    caller = pair.issue(CLIENT)
    for seconds in (4, 16, 60):  # a slow machine takes longer for two calls
        caller = pair.authority.issue(CLIENT, lifetime=dt.timedelta(seconds=seconds))
        if [call_by_tls(plain_pod, pair.server.pod.address, caller) for _ in range(2)] == [True, True]:
            break
    assert pair.server.status()["known_chains"] == before + 1
    refused = pair.server.handshakes("incoming", "expired")
    wait_until(lambda: not call_by_tls(plain_pod, pair.server.pod.address, caller), "the end of the certificate", 90)
    wait_until(lambda: pair.server.handshakes("incoming", "expired") > refused, "the count")
