"""Stack settings: what an operator may set, checked as a whole before anything is changed.

``loading.load`` is the only reader of Pulumi configuration; ``settings.Settings`` is what the program works with, and
``wiring.mesh_args`` turns it into what the components take.
"""
