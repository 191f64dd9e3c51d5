"""A case on a target: the hand-stepped event loop, the actions on it, and the watchdog."""
