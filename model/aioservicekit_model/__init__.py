"""The formal model of aioservicekit: pure functions over immutable states. It knows the rules, and no implementation."""
