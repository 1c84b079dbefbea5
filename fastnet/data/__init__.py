"""Samples and targets as users have them, made into what networks read; and small data sets."""
