"""Everything up to a bound: walk all that a target can do, and say which steps of the explored machine it has shown."""
