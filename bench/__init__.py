"""Measure what a sweep rests on, against what else there is, between two virtual devices.

``testbed`` brings virtual devices of one's own up and down by the project's own plays and runs commands on
them; ``payloads`` (``python -m bench.payloads``) measures the transports alone.  Nothing of the project
imports this room but its tests.
"""
