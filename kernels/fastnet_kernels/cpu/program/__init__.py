"""The compiled program, which runs any network: `run` first, then `data_phase` and `weight_phase`."""
