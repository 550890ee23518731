"""The mesh as Pulumi components, one per part of contract 2; each takes plain values and reads no configuration.

What the objects look like is decided by pure functions (modules ``*_objects`` and ``*_config``); the component classes
put them in order.
"""
