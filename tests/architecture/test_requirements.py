"""The locks say what pyproject.toml asks for: every direct dependency pinned inside its range, every line with hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import LOCKS, Lock

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+) \\")


def pins(lock: Lock) -> dict[str, str]:
    found = (_PIN.match(line) for line in (ROOT / lock.path).read_text().splitlines())
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def wanted(lock: Lock) -> list[Requirement]:
    texts = PROJECT["dependency-groups"][lock.group] if lock.group else []
    texts = texts + (PROJECT["project"]["dependencies"] if lock.program else [])
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.path)
def test_direct_dependencies_are_pinned_as_asked(lock: Lock) -> None:
    locked = pins(lock)
    for requirement in wanted(lock):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{lock.path} has no {requirement.name}; run `make lock`"
        assert version in requirement.specifier, f"{lock.path}: {requirement.name} {version}; run `make lock`"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.path)
def test_every_line_is_a_pin_with_hashes(lock: Lock) -> None:
    """No index, no link, no unpinned line: the machine's own configuration says where packages come from."""
    for block in re.split(r"\n(?=\S)", (ROOT / lock.path).read_text()):
        if not block.startswith("#"):
            assert _PIN.match(block), block
            assert "--hash=sha256:" in block, block


def test_one_version_everywhere() -> None:
    """A package has one version in the program, the tests and every image."""
    seen: dict[str, str] = {}
    for lock in LOCKS:
        for name, version in pins(lock).items():
            assert seen.setdefault(name, version) == version, f"{name} in {lock.path}"


def test_the_tests_include_the_program() -> None:
    """One install of requirements/tests.txt is the whole developer environment."""
    program, tests = LOCKS[0], LOCKS[1]
    assert pins(program).items() <= pins(tests).items()


def test_every_group_has_its_lock() -> None:
    assert {lock.group for lock in LOCKS if lock.group} == set(PROJECT["dependency-groups"])


def test_the_sidecar_holds_what_it_may() -> None:
    """nats-py grows by a third when aiohttp can be imported; nothing but HTTP/2 belongs beside it (design 5)."""
    [sidecar] = [lock for lock in LOCKS if lock.group == "sidecar"]
    assert set(pins(sidecar)) == {"h2", "hpack", "hyperframe", "nats-py"}
