"""The command line, `python -m nn`: train a network, evaluate it, let it look at pictures."""
