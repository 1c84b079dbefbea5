"""The compiled program, which runs any network: read `run` first."""
