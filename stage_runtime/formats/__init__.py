"""The written formats that cross between rooms: manifest, cell, row, stage configuration.

All are msgspec structs, frozen and keyword-only, that refuse unknown fields where they are
read from outside.  None of these modules imports torch, so the control node's driver, the
analysis and the light control command can all read them.
"""
