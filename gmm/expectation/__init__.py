"""The E-step: points and mixtures go in, sums over the points or a value for each come out.

`density` is it in products of tensors, for GPUs; `sweeps` is it by the kernels of the CPU; where
values are missing, `observed` is it for structures without correlations and `by_pattern` for those
with them; `e_step` chooses.
"""
