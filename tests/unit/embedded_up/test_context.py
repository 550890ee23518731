"""A cluster that exists already: where its images come from (contract 10.registry)."""

import asyncio

import pytest
from ruamel.yaml import YAML

from embedded import up
from embedded.steps import StepError


@pytest.mark.spec("10.registry")
def test_without_a_registry_nothing_is_begun() -> None:
    """The answer names what is missing and how it is said."""
    with pytest.raises(StepError, match=r"REGISTRY=.*TAG="):
        asyncio.run(up.up_context("try", "no-such-context", up.Registry("", "1")))


@pytest.mark.spec("10.registry")
def test_a_tag_of_digits_stays_text() -> None:
    """Settings are read as YAML, where a bare 1 would be a number."""
    registry = up.Registry("registry.example.com/mesh", "1")
    pairs = (setting.partition("=") for setting in registry.settings())
    assert {key: YAML(typ="safe").load(value) for key, _, value in pairs} == {
        "registry.server": "registry.example.com/mesh",
        "registry.imageTag": "1",
    }
    assert registry.sample() == "registry.example.com/mesh/mesh-sample:1"
