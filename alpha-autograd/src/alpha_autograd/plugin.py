"""This package is a library: it registers nothing, and is listed with its version."""
