"""Virtual devices: namespaces on this machine that answer SSH like hosts of their own.

``spec`` says what is wanted, ``observe`` what is there, ``cgroups``, ``network`` and ``login`` plan
the steps between the two as plain data, and ``machine`` is the one place that takes a step.
``up`` and ``down`` put them together.  Only the standard library is used, because Ansible ships
these modules to wherever the ``virtual_device`` module runs.
"""
