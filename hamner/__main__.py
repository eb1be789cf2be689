"""`python -m hamner`, the form that `accelerate launch -m hamner` needs."""

from hamner.cli import main

main()
