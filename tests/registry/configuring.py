"""Configurations from files in memory, on a host with the addresses a test gives it."""

from pathlib import Path
from random import Random

import pytest

from lictor.registry.config import InterfaceAddress, InvalidConfig, load

LO = InterfaceAddress("lo", "127.0.0.1")
ETH0 = InterfaceAddress("eth0", "10.1.2.3")
ETH1 = InterfaceAddress("eth1", "192.168.0.1")


class Files(dict):
    """Files in memory, by path."""

    def read(self, path):
        if str(path) in self:
            return self[str(path)].encode()
        if self.names(path):
            raise IsADirectoryError(21, "Is a directory")
        raise FileNotFoundError(2, "No such file or directory")

    def names(self, path):
        return sorted(
            {Path(name).relative_to(path).parts[0] for name in self if path in Path(name).parents}
        )


def loaded(*texts, dev=False, interfaces=(LO, ETH0), **flags):
    files = Files({f"/c/{at}.hcl": text for at, text in enumerate(texts)})
    return load(
        files=[Path(name) for name in files],
        flags=flags,
        dev=dev,
        read=files.read,
        names=files.names,
        hostname="host",
        rng=Random(1),
        interfaces=lambda: interfaces,
    )


def config(*texts, **kwargs):
    return loaded('data_dir = "/d"', *texts, **kwargs).config


def refusal(*texts, **kwargs):
    with pytest.raises(InvalidConfig) as caught:
        config(*texts, **kwargs)
    return str(caught.value)


def warned(*texts, **kwargs):
    return loaded('data_dir = "/d"', *texts, **kwargs).warnings


def one(error):
    return f"1 error occurred:\n\t* {error}\n\n"
