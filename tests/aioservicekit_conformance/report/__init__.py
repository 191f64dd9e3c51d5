"""A report in each of its forms, and failures in forms that can be kept."""
