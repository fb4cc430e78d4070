"""The provider's temporary addresses: what the rule `temporary-url-persisted` looks for."""
