"""What holds for every test: where a test stands says what it needs, and properties are searched the same way everywhere."""

import os
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).resolve().parent
# Tests without a line here need nothing but Python: they run first, while the tools are still being built.
NEEDS = {
    "contract": "tools",
    "nginx": "nginx",
    "balance": "nginx",
    "buckets": "nginx",
    "match": "nginx",
    "judgement": "nginx",
    "fuzz": "nginx",
    "plugins": "pulumi",
    "cluster": "cluster",
    "e2e": "e2e",
    "resilience": "e2e",
}
# Fixtures that compile a driver (tests/drivers).
DRIVERS = {"library", "directing_library"}

# No time limit for one example, nor for drawing the first ones: the machine is shared. A failure prints what reproduces it.
# The same examples in each run, so that a run tells of the change that it is about; `make soak` draws new ones.
hypothesis.settings.register_profile(
    "mesh",
    deadline=None,
    print_blob=True,
    derandomize=os.environ.get("MESH_SOAK") != "1",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("mesh")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with what its directory needs; the first that needs a driver makes it, and only tests themselves are timed."""
    for item in items:
        needed = NEEDS.get(item.path.relative_to(HERE).parts[0])
        if needed:
            item.add_marker(needed)
        if DRIVERS & set(getattr(item, "fixturenames", ())) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(120, func_only=True))
