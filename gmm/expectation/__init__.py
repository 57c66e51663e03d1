"""The E-step: points and mixtures go in, sums over the points or a value for each come out.

`density` is it in products of tensors, for GPUs; `sweeps` is it by the kernels of the CPU; `e_step`
chooses.
"""
