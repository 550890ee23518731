"""Log lines carry a constant event and its fields."""

import json
import logging

import pytest

from mesh.kit import log


def record(**extra: object) -> logging.LogRecord:
    return logging.getLogger("mesh.x").makeRecord("mesh.x", 20, "f", 1, "config applied", (), None, extra=extra)


def test_json_lines_hold_event_and_fields() -> None:
    """Fields stand beside the event, not inside its text."""
    entry = json.loads(log.JsonFormatter().format(record(revision="3.7", pod="web-0")))
    assert (entry["event"], entry["level"], entry["revision"], entry["pod"]) == (
        "config applied",
        "info",
        "3.7",
        "web-0",
    )


def test_text_lines_quote_what_needs_it() -> None:
    """A value with blanks stays one value, and a line break never makes a second line."""
    line = log.TextFormatter().format(record(reason="no\nroute here", count=2, empty=""))
    assert line.endswith('info mesh.x: config applied reason="no\\nroute here" count=2 empty=""')


@pytest.mark.parametrize(("level", "form"), [("loud", "text"), ("info", "xml")])
def test_unknown_settings_are_refused_by_name(level: str, form: str) -> None:
    """The error says what was got and what is taken."""
    with pytest.raises(ValueError, match="takes"):
        log.configure(level, form)
