"""`python -m hpo_handler`: a trial process on standard input and output."""

from hpo_handler.process import main

main()
