"""The fixture of this directory."""

from pathlib import Path

import pytest

from tests.unit.embedded_tools.workshop import Workshop, open_workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Sources and lock of `hello` and `other`, and an empty store."""
    return open_workshop(tmp_path)
