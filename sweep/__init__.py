"""The control node's driver: options, the matrix, the inner plays, the journal, progress.

``python -m sweep run model=vgg16`` and ``ansible-playbook sweep.yml -e model=vgg16`` are two
front ends of the same driver.  Only :mod:`sweep.plays` knows ansible-runner.
"""
