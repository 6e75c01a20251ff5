"""`python -m hpocli` is `hpo`."""

from hpocli.cli import main

main()
