"""Files are replaced whole, and secrets are never readable wider than asked."""

import stat
from pathlib import Path

import pytest

from mesh.kit import atomic


def test_content_and_mode(tmp_path: Path) -> None:
    """The file holds the bytes and has exactly the mode, whatever the umask."""
    atomic.write(tmp_path / "tls.key", b"secret", 0o600)
    assert (tmp_path / "tls.key").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "tls.key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["tls.key"]


def test_a_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    """Replacement is by rename: who has the old file open reads the old bytes to the end."""
    atomic.write(tmp_path / "state", b"old")
    with (tmp_path / "state").open("rb") as reader:
        atomic.write(tmp_path / "state", b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "state").read_bytes() == b"new"


def test_failure_keeps_the_old_and_leaves_nothing(tmp_path: Path) -> None:
    """A target that cannot be replaced (a directory) stays, and no temporary file is left."""
    (tmp_path / "state").mkdir()
    with pytest.raises(OSError, match="state"):
        atomic.write(tmp_path / "state", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_write_if_changed(tmp_path: Path) -> None:
    """Equal bytes are not written again, so a watcher sees real changes only."""
    assert atomic.write_if_changed(tmp_path / "a", b"1")
    inode = (tmp_path / "a").stat().st_ino
    assert not atomic.write_if_changed(tmp_path / "a", b"1")
    assert (tmp_path / "a").stat().st_ino == inode
    assert atomic.write_if_changed(tmp_path / "a", b"2")
