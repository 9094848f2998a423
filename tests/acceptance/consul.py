"""A real Consul to compare with: one development server on ports of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BINARY = Path(
    os.environ.get("CONSUL_ORACLE")
    or shutil.which("consul")
    or Path.home() / ".cache/lictor-peers/consul"
)
MARKS = [
    pytest.mark.acceptance,
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY.exists(), reason="no Consul binary to compare with"),
]
READY = re.compile(rb"marking health alive")
PORTS = ("http", "dns", "server", "serf_lan", "serf_wan")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@contextmanager
def server(directory: Path, *, key: str, more: str = "") -> Iterator[str]:
    """Run a server until the block ends; the value is its HTTP address.

    ``more`` is added to its configuration.
    """
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    shown = " ".join(f"{name} = {port}" for name, port in ports.items())
    config = directory / "server.hcl"
    config.write_text(
        f'node_name = "n1"\nbind_addr = "127.0.0.1"\nconnect {{ enabled = true }}\n'
        f"ports {{ {shown} grpc = -1 https = -1 }}\n{more}\n"
    )
    command = [str(BINARY), "agent", "-server", "-bootstrap-expect=1", f"-encrypt={key}"]
    command += [f"-data-dir={directory / 'data'}", f"-config-file={config}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if READY.search(line):
                break
        else:
            raise AssertionError("the server ended before it was ready")
        # its log must be read or it stops when the pipe is full
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        yield f"127.0.0.1:{ports['http']}"
        process.terminate()
        drain.join(timeout=10)
    finally:
        process.kill()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
