"""The client's side of the reaper: which process groups must die with this client."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_SCRIPT = Path(__file__).with_name("reaper.py")

_log = logging.getLogger(__name__)


class OrphanGuard:
    """Guards process groups through one reaper process, started with the first group.

    Belongs to one thread. A reaper that died is replaced and told everything again; one that
    cannot be started costs a warning, for trial processes also die with their parent by themselves.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        """Have `group` killed as soon as this client is gone."""
        self._groups.add(group)
        self._tell(b"+%d\n" % group)

    def discard(self, group: int) -> None:
        """Forget `group`: it has been killed, and its number may soon belong to others."""
        self._groups.discard(group)
        self._tell(b"-%d\n" % group)

    def close(self) -> None:
        """End the reaper; it kills what is still guarded. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tell(self, line: bytes) -> None:
        if self._write(line):
            return
        self.close()
        try:
            self._process = self._start()
        except OSError as error:
            _log.warning("trial processes are not guarded by a reaper: %s", error.strerror)
        self._write(b"".join(b"+%d\n" % group for group in sorted(self._groups)))

    def _write(self, line: bytes) -> bool:
        if self._process is None:
            return False
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except BrokenPipeError:
            return False
        return True

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=self._environment,
            start_new_session=True,
        )
