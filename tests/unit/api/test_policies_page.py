"""The examples of docs/reference/policies.md are what they say (contract 7.parse, 7.webhook)."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.admission.validate import judge
from mesh.admission.verdict import Known, Verdict
from mesh.api import schema
from mesh.api.kinds import POLICY_KINDS, POLICY_PARSERS

PAGE = (Path(__file__).resolve().parents[3] / "docs/reference/policies.md").read_text()
EXAMPLES: list[dict[str, Any]] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
SERVICES = frozenset({"shop/reviews", "shop/reviews-v2", "shop/reviews-v3", "shop/reviews-cache"})


@pytest.mark.spec("7.parse", "7.webhook")
@pytest.mark.parametrize("manifest", EXAMPLES, ids=lambda manifest: manifest["kind"])
def test_examples_are_taken_without_a_warning(manifest: dict[str, Any]) -> None:
    """Read strictly, beside all others of the page."""
    by_kind: dict[str, list[Any]] = {}
    for one in EXAMPLES:
        by_kind.setdefault(one["kind"], []).append(POLICY_PARSERS[one["kind"]](one))
    POLICY_PARSERS[manifest["kind"]](manifest, strict=True)
    assert judge("CREATE", manifest["kind"], manifest, None, Known(by_kind, SERVICES)) == Verdict()


@pytest.mark.spec("7.parse")
def test_every_kind_has_an_example_and_every_field_its_line() -> None:
    assert {one["kind"] for one in EXAMPLES} == {kind.kind for kind in POLICY_KINDS}
    for kind in POLICY_KINDS:
        section = PAGE.partition(f"## {kind.kind}\n")[2].partition("\n## ")[0]
        for row in schema.members(kind.stored.spec):
            assert f"`spec.{row.name}" in section, f"{kind.kind} spec.{row.name}"
