"""The one error of this package: a tool that is unknown, missing, broken or cannot be made here."""


class ToolError(Exception):
    """Says which tool, what is wrong and what to do about it; shown to the user as it is."""
