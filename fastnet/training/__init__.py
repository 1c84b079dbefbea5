"""Training: what `fit` checks, its loop, and what it remembers."""
