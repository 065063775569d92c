"""The link emulator: one process that carries every packet between virtual devices.

Each device's network namespace holds one TUN interface whose other end is this process.  A
packet is routed by its destination address to another device's interface, at once or, when the
direction is shaped, at the time that netem would release it.  It stands in for tc where the
kernel has no netem, and shapes nothing but the data interfaces.
"""
