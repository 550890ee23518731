"""Read the stack's configuration from Pulumi, refuse all that is wrong at once, warn, and hand on ``Settings``."""

import dataclasses
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import pulumi
from pulumi.runtime import config as pulumi_config

from mesh.api import schema
from mesh.api.errors import InvalidInputError, Problem
from stacks import checks, cluster
from stacks.settings import PersistentStorage, Settings


def load() -> Settings:
    """The settings of the current stack, with ``persistentStorage`` decided.

    Raises pulumi.RunError, before any resource is registered, with every problem of the configuration.
    """
    prefix = pulumi.get_project() + ":"
    given = {
        key.removeprefix(prefix): value for key, value in pulumi_config.CONFIG.get().items() if key.startswith(prefix)
    }
    encrypted = {key for key in given if pulumi_config.is_config_secret(prefix + key)}
    try:
        settings = parse(given, encrypted)
        settings = decide_storage(settings)
    except InvalidInputError as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise pulumi.RunError(f"the configuration of stack {pulumi.get_stack()} cannot be used:\n{lines}") from error
    persistent = settings.mtls.persistent_storage is PersistentStorage.ON
    for warning in checks.warnings(settings, persistent=persistent):
        pulumi.warn(warning)
    return settings


def parse(given: Mapping[str, str], encrypted: AbstractSet[str] = frozenset()) -> Settings:
    """Read configuration values as Pulumi holds them: text, JSON for structures. Raises InvalidInputError.

    *encrypted* are the keys that hold something secret.
    """
    declared = {one.name: one for one in schema.members(Settings)}
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for key, text in given.items():
        values[key] = _decode(declared[key], text, key, problems) if key in declared else text
    settings = None
    try:
        settings = schema.parse(Settings, values, "", strict=True)
    except InvalidInputError as error:
        problems.extend(error.problems)
    if settings is not None and not problems:
        problems.extend(checks.problems(settings))
        credentials = settings.registry.credentials
        if (credentials.password or credentials.key) and "registry" not in encrypted:
            remedy = "pulumi config set --secret --path registry.credentials.password"
            problems.append(Problem("registry.credentials", "plain text", "an encrypted value", remedy))
    if settings is None or problems:
        raise InvalidInputError(problems)
    return settings


def decide_storage(settings: Settings) -> Settings:
    """Turn ``auto`` into on or off by whether the cluster has a default StorageClass."""
    wanted = settings.mtls.persistent_storage
    if wanted is PersistentStorage.OFF:
        return settings
    default_class = cluster.default_storage_class()
    problems = checks.storage_problems(wanted, default_class)
    if problems:
        raise InvalidInputError(problems)
    decided = PersistentStorage.ON if default_class else PersistentStorage.OFF
    return dataclasses.replace(settings, mtls=dataclasses.replace(settings.mtls, persistent_storage=decided))


def _decode(one: schema.Member, text: str, place: str, problems: list[Problem]) -> Any:
    """Pulumi keeps numbers, truth values and structures as text; anything that is not what it should be stays text."""
    if one.type is str or schema.choices_of(one):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        problems.append(Problem(place, "text", schema.takes_of(one.type, one.rule)))
        return None
