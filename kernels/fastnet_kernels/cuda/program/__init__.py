"""The compiled program, which runs any network: `run` first, then `layers.dispatch`."""
