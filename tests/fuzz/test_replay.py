"""Every decoder of the C module on its seeds and random changes of them, with sanitizers (contract 6.state).

`make fuzz` searches for longer, with libFuzzer.
"""

from pathlib import Path

import pytest

from tests.fuzz import programs
from tests.fuzz.programs import Programs
from tests.fuzz.seeds import SEEDS, hello
from tests.fuzz.words import WORDS

# So many that each takes a second or two where nothing else runs.
CHANGES = {
    "state": 100_000,
    "hello": 200_000,
    "pem": 20_000,
    "certificate": 50_000,
    "address": 400_000,
    "match": 20_000,
    "request": 100_000,
    "record": 10_000,
    "chunked": 400_000,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        metafunc.parametrize("target", SEEDS)


@pytest.fixture(scope="module")
def replayer() -> Programs:
    return programs.ensure(engine=False)


@pytest.mark.spec("6.state")
@pytest.mark.timeout(300, func_only=True)
def test_no_change_of_a_seed_breaks_a_decoder(replayer: Programs, target: str, tmp_path: Path) -> None:
    """It is taken or refused; nothing is read or written where it must not be, nothing is lost, and nobody is asked."""
    seeds = programs.write_seeds(target, tmp_path)
    done = programs.run(replayer.command(target, [str(CHANGES[target]), "20261121", *seeds], tmp_path), 240)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout == ""


def test_a_fault_is_found(replayer: Programs, tmp_path: Path) -> None:
    """The yardstick: a program that cannot read its seed says so and fails."""
    done = programs.run(replayer.command("state", ["1", "1", str(tmp_path / "none")], tmp_path), 60)
    assert done.returncode != 0
    assert "must: file != NULL" in done.stdout


def test_each_target_has_words() -> None:
    """A fuzzer does not start without them."""
    assert set(WORDS) == set(SEEDS)


def test_seeds_are_what_they_claim() -> None:
    """The same bytes every time."""
    assert all(make() == make() for make in SEEDS.values())
    assert b"\x05nsm/1" in hello(b"nsm/1")
