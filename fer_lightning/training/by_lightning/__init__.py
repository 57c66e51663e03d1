"""A run that Lightning's Trainer trains."""
