"""A report in each of its forms, and failures as things to keep."""
