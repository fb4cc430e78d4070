"""What stands for real data and real work in the product: what the rule `mock-data` looks for."""
