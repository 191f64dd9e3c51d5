"""Benchmarks: `python -m benchmarks`, from the root of the checkout. See README.md in this directory."""
