"""Channels in any language, judged through an agent: a process that is told what to do, one JSON line per command.

`specs/conformance.md` has the protocol.
"""
