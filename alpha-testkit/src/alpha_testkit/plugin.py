"""What this package registers with Alpha."""
