"""The numpy reference, one file for each family of ops, in the order of `alpha_core.ops`.

An array is never changed once a tensor holds it: ops that write in place give the tensor another array. Results may
therefore be views, and a view never sees a later write.
"""
