"""The work in Alpha, by its public interfaces."""
