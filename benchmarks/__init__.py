"""Benchmarks: `python -m benchmarks`, from the root of the checkout. README.md beside this file says what is measured."""
