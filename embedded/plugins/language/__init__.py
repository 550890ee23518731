"""The language host `python`: runs a Pulumi program in a child Python and tells the engine how it ended."""

VERSION = "3.250.0"
