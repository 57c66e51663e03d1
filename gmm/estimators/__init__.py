"""Mixtures with scikit-learn's conventions; these modules need scikit-learn."""
