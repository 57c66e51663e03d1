"""Better optima: components of a fitted mixture are merged and split where that helps."""
