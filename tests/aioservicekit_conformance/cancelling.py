"""Named checks of what is left of a request to cancel."""
