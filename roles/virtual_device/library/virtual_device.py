"""Ansible module: bring a virtual device up or take virtual devices down."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.splitbed_virtual.down import take_down
from ansible.module_utils.splitbed_virtual.spec import VirtualDeviceError, parse_device, parse_testbed
from ansible.module_utils.splitbed_virtual.up import bring_up

DOCUMENTATION = r"""
module: virtual_device
short_description: Make and remove hosts that live in namespaces of this machine
description:
  - Brings up a network and PID namespace with its own sshd, CPU quota, cores and memory limit, and
    repairs what is missing of one.
  - Takes such devices down by what is there, also after a crash half-way.
author: [Splitbed]
options:
  state:
    description: C(present) needs I(device); C(absent) removes I(names), or all of the prefix.
    choices: [present, absent]
    default: present
    type: str
  testbed:
    description: Prefix, networks, folders and owner; the role's variables without their prefix.
    type: dict
    required: true
  device:
    description: Name, addresses, cpus, cores and memory_mb of the device to bring up.
    type: dict
  names:
    description: Devices to take down; none means all of the prefix.
    type: list
    elements: str
    default: []
  take_over:
    description: Treat devices of another inventory as one's own.
    type: bool
    default: false
"""

RETURN = r"""
done:
  description: What was done (C(present)) or removed (C(absent)), in words.
  returned: always
  type: list
link_backend:
  description: How the device's link is shaped, C(tc) or C(user).
  returned: state is present
  type: str
"""

_TESTBED = {
    "prefix": {"type": "str", "required": True},
    "management_network": {"type": "str", "required": True},
    "data_network": {"type": "str", "required": True},
    "root": {"type": "path", "required": True},
    "ssh_dir": {"type": "path", "required": True},
    "owner": {"type": "path", "required": True},
    "project": {"type": "path", "required": True},
    "python": {"type": "path", "required": True},
    "link_backend": {"type": "str", "required": True},
    "cfs_period_us": {"type": "int", "required": True},
}
_DEVICE = {
    "name": {"type": "str", "required": True},
    "management_address": {"type": "str", "required": True},
    "data_address": {"type": "str", "required": True},
    "cpus": {"type": "float", "required": True},
    "cores": {"type": "str", "required": True},
    "memory_mb": {"type": "int", "required": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "testbed": {"type": "dict", "required": True, "options": _TESTBED},
            "device": {"type": "dict", "options": _DEVICE},
            "names": {"type": "list", "elements": "str", "default": []},
            "take_over": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["device"])],
        supports_check_mode=True,
    )
    # A user's PATH often lacks the folders of ip, tc and sshd.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    try:
        result = _act(module.params, check=module.check_mode)
    except (VirtualDeviceError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


def _act(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    testbed = parse_testbed(params["testbed"])
    if params["state"] == "absent":
        removed = take_down(testbed, params["names"], check=check, take_over=params["take_over"])
        return {"changed": bool(removed), "done": removed}
    device = parse_device(params["device"], testbed)
    outcome = bring_up(device, testbed, check=check, take_over=params["take_over"])
    return {"changed": outcome.changed, "done": outcome.done, "link_backend": outcome.backend}


if __name__ == "__main__":
    main()
