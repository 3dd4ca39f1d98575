"""State space models: inits, discretization, kernels, convolution and the layer. See README.md beside this file.

`init`, `hippo`, `discretize` and `user` are NumPy in float64; nothing here imports torch until `layer` is imported.
"""
