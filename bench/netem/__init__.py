"""Hold the link emulator against the kernel's netem: the same conditions, the same measurements, one table."""
