"""Measure what a sweep rests on, against what else there is, between virtual devices.

``testbed`` brings virtual devices of one's own up and down by the project's own plays and runs commands on
them; ``payloads`` (``python -m bench.payloads``) measures the transports alone, ``tls`` (``python -m bench.tls``) what
TLS costs, ``engines`` what computes fastest, ``nearness`` how near the bounds cells come, ``netem`` the emulator beside
the kernel's links, ``soak`` and ``journals`` what grows in long runs and long journals.  ``contest``
(``python -m bench``) compares with what people would pick instead, among it ``pickle_chain``; ``scaling``
(``python -m bench.scaling``) shows how cost grows; ``own_devices`` gives both devices of a core each, ``document``
holds what all of them write.  Nothing of the project imports this room but its tests.
"""
