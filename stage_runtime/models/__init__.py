"""Models as chains of blocks: names, construction, cutting, and loading on a device.

:mod:`~stage_runtime.models.names` is importable without torch; every other module needs it.
"""
