"""How fast fastnet is: kernels side by side, whole trainings against peers, and what the machine allows.

`fastnet compare` prints what these modules measure; `asv_bench/` follows the same cases across commits.
"""
