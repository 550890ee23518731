"""Tables for people: columns as wide as their widest cell, two spaces between them."""

from collections.abc import Sequence


def lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table; the first row is its head."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
