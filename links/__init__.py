"""Link conditions: plan them, put them in force, read them back, measure them.

``conditions`` and ``tc`` are pure; ``execute`` runs other programs; ``emulator`` is the link
emulator in user space for virtual devices; ``probe`` measures.  ``python -m links`` is what
runs on a device.
"""
