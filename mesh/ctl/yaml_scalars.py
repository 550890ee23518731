"""What Kubernetes takes an unquoted word of YAML for, and how text is written so that it stays text (contract 5.manual).

Kubernetes reads YAML 1.1, the parser here 1.2: ``mtls-mode: off`` is false to the one and text to the other.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, PlainScalarString

TRUTH_WORDS: Final = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}


def read(scalar: Any) -> Any:
    """Say what *scalar*, as it was parsed, is to Kubernetes."""
    if type(scalar) in {str, PlainScalarString}:
        return TRUTH_WORDS.get(scalar, str(scalar))
    if isinstance(scalar, ScalarBoolean):
        return bool(scalar)
    if isinstance(scalar, TaggedScalar):
        return str(scalar.value)
    # Kubernetes has no dates, and takes them for the text that they are.
    return scalar.isoformat() if isinstance(scalar, dt.date) else scalar


def write(value: Any) -> Any:
    """Copy *value*, to be put into a document: a text that Kubernetes would take for a truth value is quoted."""
    if isinstance(value, Mapping):
        return {key: write(item) for key, item in value.items()}
    if isinstance(value, list):
        return [write(item) for item in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and value in TRUTH_WORDS else value
