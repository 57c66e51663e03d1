"""Where EM begins: k-means, seeds, random and given parameters, and loadings."""
