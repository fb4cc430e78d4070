"""TCP ports of this machine: find a free one, and ask whether one is taken. It opens nothing for others."""

import socket

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT_S = 1.0


def free_port(host: str = LOOPBACK) -> int:
    """A port nobody listens on now.

    Another process may take it before the caller does; where the server can bind port 0 itself, prefer that.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_in_use(host: str, port: int) -> bool:
    """Whether something accepts connections at host:port."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False
