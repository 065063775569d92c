"""Virtual devices for integration tests: an inventory of one's own, brought up and taken down.

The benchmarks' testbed, under the name that tests know it by; a play that fails raises with its output::

    from tests.virtual_devices import virtual_testbed

    @pytest.fixture(scope="module")
    def devices(tmp_path_factory):
        folder = tmp_path_factory.mktemp("devices")
        two = {"a": {}, "b": {"virtual_cpus": 0.25}}
        with virtual_testbed(folder, prefix="sbX", networks="10.217", devices=two) as bed:
            yield bed

    def test_something(devices):
        devices.play("playbooks/provision.yml")
        devices.inventory                                # the path for `-i`
"""

from __future__ import annotations

from bench.testbed import ANSIBLE, PROJECT, VirtualTestbed, virtual_testbed, write_inventory

__all__ = ["ANSIBLE", "PROJECT", "VirtualTestbed", "virtual_testbed", "write_inventory"]
