"""Kills what a dead client left behind: `python -I -S reaper.py <client pid>`.

Standard input brings a line per change: `+<process group>` to guard, `-<process group>` to forget.
When the input ends, or the client is gone although a copy of the pipe lives on, every group still
guarded is killed. Run by path in a session of its own; imports nothing but the standard library,
so that it starts in about 10 ms and survives whatever happens to the client.
"""

from __future__ import annotations

import os
import select
import signal
import sys


def main(client_pid: int) -> None:
    """Guard until the client is gone, then kill."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    for group in watch(client_pid):
        kill_group(group)


def watch(client_pid: int) -> set[int]:
    """Return the groups that are still guarded once the client is gone."""
    groups: set[int] = set()
    client = client_handle(client_pid)
    pending = b""
    while 0 in select.select([0, *client], [], [])[0]:  # only the client's handle: it is gone
        chunk = os.read(0, 65536)
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    return groups


def client_handle(client_pid: int) -> list[int]:
    """Return a descriptor that turns readable when the client ends, where the system has one."""
    try:
        handle = os.pidfd_open(client_pid)
    except (AttributeError, OSError):
        return []
    return [handle] if os.getppid() == client_pid else []


def kill_group(group: int) -> None:
    """Send SIGKILL to a process group; one that is gone already is fine."""
    try:
        if group > 1:
            os.killpg(group, signal.SIGKILL)
    except OSError:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]))
