"""What a step works on, beneath layers and program: the `workspace` with A and dZ, and the samples, the `inputs`."""
