"""The hpo sub-commands, one module each."""
