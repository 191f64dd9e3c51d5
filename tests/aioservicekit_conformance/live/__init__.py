"""Judging as it runs: real threads with an event loop each, and the history that they leave behind."""
