"""What is read from the machine: cgroup hierarchies, DNS answers, image archives."""

import struct
from pathlib import Path

import pytest

from embedded.cluster import cgroups, dns, oci

HYBRID = """\
31 23 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_hierarchies_of_version_one_beside_version_two() -> None:
    found = cgroups.hierarchies(HYBRID)
    assert found.unified == Path("/sys/fs/cgroup/unified")
    assert found.controllers["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert found.tracking == Path("/sys/fs/cgroup/pids")
    assert found.unified not in found.pods
    assert len(found.all) == 4


def test_unified_hierarchy() -> None:
    found = cgroups.hierarchies(UNIFIED)
    root = Path("/sys/fs/cgroup")
    assert (found.tracking, found.pods, found.all) == (root, (root,), (root,))


def test_no_hierarchy_is_an_error() -> None:
    with pytest.raises(cgroups.CgroupError):
        _ = cgroups.hierarchies("").tracking


def test_addresses_are_read_from_a_dns_answer_with_pointers_and_other_records() -> None:
    name = b"\x03web\x04shop\x00"
    head = struct.pack("!6H", 7, 0x8180, 1, 2, 0, 0) + name + struct.pack("!2H", 1, 1)
    alias = b"\xc0\x0c" + struct.pack("!2HIH", 5, 1, 5, 2) + b"\xc0\x10"
    address = name + struct.pack("!2HIH", 1, 1, 5, 4) + bytes([198, 18, 8, 1])
    assert dns._addresses(head + alias + address, 7, len(head)) == ["198.18.8.1"]
    assert dns._addresses(head + alias + address, 8, len(head)) == []


def _image(tmp_path: Path, content: str = "program") -> oci.Image:
    program = tmp_path / "program"
    program.write_text(content)
    return oci.Image("thing", {"bin/thing": program}, ("/bin/thing",), user="65532", labels={"a": "b"})


def test_the_same_image_is_the_same_bytes(tmp_path: Path) -> None:
    image = _image(tmp_path)
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    assert oci.write_archive(image, first) == oci.write_archive(image, second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.tar", "program", "second.tar"]


def test_another_content_is_another_reference(tmp_path: Path) -> None:
    before = oci.reference(_image(tmp_path))
    assert before.startswith("localhost/thing:")
    assert oci.reference(_image(tmp_path, "changed")) != before


def test_an_archive_tells_reference_and_digest(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    named = oci.write_archive(_image(tmp_path), archive)
    assert list(oci.manifests(archive)) == [named]
    assert oci.manifests(archive)[named].startswith("sha256:")
