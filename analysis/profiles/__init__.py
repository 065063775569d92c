"""Block profiles: what each block costs on each device, and what that says of each split point."""
