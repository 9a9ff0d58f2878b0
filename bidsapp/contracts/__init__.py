"""The types that rooms agree on: data and protocols that import nothing heavy."""
