"""Inputs: photographs, prepared once on the control node as one tensor."""
