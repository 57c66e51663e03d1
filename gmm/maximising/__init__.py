"""The M-step: the parameters that sums ask for, priors that have their say, and given ones."""
