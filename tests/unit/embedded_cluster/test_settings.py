"""Each cluster keeps a slot of its own, under a lock (contract 10.cluster-slots)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded.cluster import addresses, places, settings


def _claim(tmp_path: Path, name: str, nodes: int = 1, state: str = "state") -> settings.Settings:
    return settings.claim(name, places.Places(tmp_path / state / name), nodes, registry=tmp_path / "registry")


@pytest.mark.spec("10.cluster-slots")
def test_clusters_get_different_slots_and_keep_them(tmp_path: Path) -> None:
    first = _claim(tmp_path, "a")
    second = _claim(tmp_path, "b", nodes=2)
    assert first.slot != second.slot
    assert _claim(tmp_path, "a") == first
    assert settings.load(places.Places(tmp_path / "state" / "b")) == second


def test_claims_at_once_do_not_collide(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(addresses.SLOTS)]
    with ThreadPoolExecutor(8) as pool:
        slots = [value.slot for value in pool.map(lambda name: _claim(tmp_path, name), names)]
    assert sorted(slots) == list(range(addresses.SLOTS))


def test_a_seventeenth_cluster_is_refused(tmp_path: Path) -> None:
    for number in range(addresses.SLOTS):
        _claim(tmp_path, f"c{number}")
    with pytest.raises(settings.SlotError, match="all 16 slots are taken"):
        _claim(tmp_path, "more")


def test_a_deleted_cluster_gives_its_slot_back(tmp_path: Path) -> None:
    first = _claim(tmp_path, "a")
    places.Places(tmp_path / "state" / "a").settings.unlink()
    assert _claim(tmp_path, "b").slot == first.slot


def test_a_slot_that_another_took_meanwhile_is_not_shared(tmp_path: Path) -> None:
    """The registry is lost at boot; a cluster that then comes too late must not take over another's addresses."""
    _claim(tmp_path, "a")
    (tmp_path / "registry" / "slots.json").unlink()
    _claim(tmp_path, "b")
    with pytest.raises(settings.SlotError, match="reset cluster a"):
        _claim(tmp_path, "a")


def test_one_name_in_two_state_directories_is_refused(tmp_path: Path) -> None:
    _claim(tmp_path, "a")
    with pytest.raises(settings.SlotError, match="its name is in use"):
        _claim(tmp_path, "a", state="elsewhere")
