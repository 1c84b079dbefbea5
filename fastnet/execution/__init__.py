"""Running networks: plans, devices, and the memory they use."""
