"""The local executor: warm trial processes on this machine."""
