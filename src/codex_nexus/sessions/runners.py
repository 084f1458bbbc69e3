"""Names of processes that run background work: a name tells where the process is, so that its death can be seen."""

from __future__ import annotations

import os
import secrets
import socket


def new_name() -> str:
    """The name of a runner in this process."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(6)}"


def is_dead(name: str) -> bool:
    """Whether that process surely does not live any more; of other machines nothing is known."""
    host, _, rest = name.partition("/")
    pid = rest.partition("/")[0]
    if host != socket.gethostname() or not pid.isdigit() or os.name == "nt":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
