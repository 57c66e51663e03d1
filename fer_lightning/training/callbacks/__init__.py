"""What happens beside the training: curves, checkpoints, pictures and the progress bar."""
