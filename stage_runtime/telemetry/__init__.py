"""What a stage says about the machine under it: limits, processor and memory use, the GPU."""
