"""Text that a small model can learn, made by rules: for trying things out, and for tests whose answer is known.

Every kind is one file with a grammar and a function `document`. A document is a pure function of its kind, the seed and
its number, the same on every machine.
"""
