"""Fakes that are real implementations, for the project's tests and for plugin authors."""

from hpocli.testing.virtual import Play, ScriptedExecutor, VirtualClock

__all__ = ["Play", "ScriptedExecutor", "VirtualClock"]
