"""Running networks on a CPU."""
