"""Measure the transports alone, from 4 KB to 64 MB, between two virtual devices: ``python -m bench.payloads``.

``plan`` says what is measured on a link, ``end`` is the process on either device, ``serving`` and ``driving`` are
what its two sides do, ``yardsticks`` what they are held against (iperf3, and a bare ping-pong over blocking
sockets), ``idle`` measures what slow start after idle times costs.  ``results`` is the written format, ``table`` and
``figure`` show it.
"""
