"""What backends share that note a step down as launches of kernels, and run it later without Python.

Such a backend implements launching (`Engine.run`), copying and a kernel for each op; views, aliases, fusion, what is
constant, and where intermediates lie are the same for all of them. `alpha_tensor.cpu` and `alpha_helios` are two.
"""
