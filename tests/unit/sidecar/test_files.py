"""The files between agent and NGINX: restored when refused, never emptied by an agent that knows nothing yet."""

from pathlib import Path

from mesh.api.mtls import MtlsMode
from mesh.model import codec
from mesh.model.sidecar_config import SidecarConfig
from mesh.sidecar.control import Status, parse_status
from mesh.sidecar.files import StateDirectory
from mesh.sidecar.step import State
from tests.fakes.authority import Authority

INITIAL = b"mesh\t1\t-\nend\t1\n"
EMPTY = State(pod="a/b", group="g")
FIRST, SECOND = (Authority().issue("/ns/shop/sa/web").context() for _ in range(2))


def accepting(counter: int) -> State:
    config = SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "json", "allow")
    return State(pod="a/b", group="g", accepted=codec.Decoded(config, codec.Revision(1, counter), ""), identity=FIRST)


def test_the_initial_document_is_for_an_empty_directory_only(tmp_path: Path) -> None:
    """An agent that restarts leaves what NGINX serves by."""
    assert StateDirectory(tmp_path, INITIAL).write(EMPTY) == "-"
    assert StateDirectory(tmp_path, INITIAL).write(accepting(7)) == "1.7"
    assert StateDirectory(tmp_path, INITIAL).write(EMPTY) == "1.7"


def test_only_the_refused_file_is_restored(tmp_path: Path) -> None:
    """A good certificate beside a refused configuration stays."""
    files = StateDirectory(tmp_path, INITIAL)
    files.write(accepting(1))
    files.accept()
    good = (tmp_path / "state").read_bytes()
    state = accepting(2)
    files.write(State(pod="a/b", group="g", accepted=state.accepted, identity=SECOND))
    files.restore("state:3: mode: got x")
    assert (tmp_path / "state").read_bytes() == good
    assert (tmp_path / "bundle.pem").read_bytes() == SECOND.bundle_pem
    assert (tmp_path / "svid.pem").read_bytes() == SECOND.svid.chain_pem + SECOND.svid.key_pem


def test_a_refused_first_file_is_removed(tmp_path: Path) -> None:
    """There is nothing better."""
    files = StateDirectory(tmp_path, INITIAL)
    files.write(State(pod="a/b", group="g", identity=FIRST))
    files.restore("svid.pem: no key\nbundle.pem:1: rubbish")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_a_status_with_nulls() -> None:
    """What NGINX does not know yet is empty here."""
    body = b'{"revision":null,"ready":false,"svid_serial":null,"svid_not_after":null,"bundle_digest":null,"new":1}'
    assert parse_status(body) == Status()
