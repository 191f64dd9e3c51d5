"""Make cases, and find the rules to blame for the refused ones."""
