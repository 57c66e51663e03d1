"""How many components: mixtures of every number, compared by criteria, as a table and a figure."""
