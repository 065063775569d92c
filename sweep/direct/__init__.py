"""Sweep over processes of this machine, without Ansible, SSH, namespaces or root.

``python -m sweep direct model=vgg16 devices=pi1:cpu:0.5,gpu1:cuda`` runs one stage process per device,
the same that runs on a Pi, and drives it with the same control command.  What becomes of the cells (rows,
journal, samples, settling) is the driver's, as for any other :class:`sweep.field.Field`.

``devices`` says which devices there are, ``confine`` and ``cgroups`` hold them to their processors,
``launch`` and ``spin`` run in processes of their own, ``stages`` starts stages, ``field`` puts it together.
"""
