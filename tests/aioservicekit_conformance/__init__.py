"""The conformance suite: judges any channel, rule by rule. See `python -m aioservicekit_conformance --help`."""
