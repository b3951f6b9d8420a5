"""Benchmarks: each prints figures, and a ratio against a baseline measured in the same run. `make bench`, or `python -m bench --help`."""
