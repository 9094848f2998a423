import ipaddress

from lictor.cli.host import interface_addresses, load_here
from lictor.registry.config import InterfaceAddress


def test_the_loopback_interface_is_seen():
    assert InterfaceAddress("lo", "127.0.0.1") in interface_addresses()


def test_addresses_are_addresses_that_one_can_bind():
    for _, address in interface_addresses():
        assert not ipaddress.ip_address(address).is_link_local or "." in address


def test_a_template_is_filled_in_from_the_host(tmp_path):
    file = tmp_path / "a.hcl"
    file.write_text('bind_addr = "{{ GetInterfaceIP \\"lo\\" }}"')
    assert load_here(paths=[tmp_path], dev=True).config.bind_addr == "127.0.0.1"
