"""What makes the oracle worth asking: it can be read in one go, and shares nothing with what it checks."""

import ast

import pytest

from tests.architecture.test_tree import ROOT

ORACLE = ROOT / "tests" / "oracle" / "oracle.py"


@pytest.mark.spec("7.oracle")
def test_is_short_and_stands_alone() -> None:
    source = ORACLE.read_text()
    imported = [
        ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(source.splitlines()) <= 150
    assert imported == ["import re", "from fractions import Fraction", "from typing import Any"]
