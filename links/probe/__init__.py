"""Measure what a shaped link does: round trip, a message-sized transfer, a bulk one."""
