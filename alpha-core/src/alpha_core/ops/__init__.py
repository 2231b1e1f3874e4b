"""The ops, one file for each family; forward and gradient stand next to each other.

The classes form one chain, each building on those before it: creation, elementwise, movement, reduction, matmul,
indexing, dropout, softmax and loss, normalization, activation, attention, update, decoding.
`alpha_core.backend.Backend` ends it.
"""
