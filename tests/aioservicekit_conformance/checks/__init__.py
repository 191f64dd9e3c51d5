"""Named checks: what no history of calls and returns can show."""
