"""A case on a target: the event loop that is stepped by hand, what is done on it, and the watchdog."""
