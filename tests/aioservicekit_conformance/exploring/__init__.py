"""Making cases, and finding the rules to blame for those that are refused."""
