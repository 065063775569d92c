"""Shards: a model's weights as one safetensors file per block, and the manifest that lists them."""
