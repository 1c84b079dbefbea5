"""All that is known of a processor: vectors, caches, block sizes, and what was measured. Pure data, without Numba.

A constant of the machine stands here and nowhere else; kernels and the host's planner take it from the `TARGET` that
`codegen.processor` finds. The letters are those of BLIS: a micro-kernel keeps MR rows of C in registers, and a block of
MC rows of A stays in the second-level cache.
"""

from typing import NamedTuple


class Target(NamedTuple):
    """One kind of processor. Sizes are in bytes, or in numbers of whatever dtype where the name does not say bytes."""

    vector_bytes: int
    # Heights of the micro-kernels that there are, whose sums fit the registers. Of dot products also the widths.
    mr: tuple[int, ...]  # of C two vectors wide
    mr_narrow: tuple[int, ...]  # of C one vector wide
    dot_mr: tuple[int, ...]
    dot_nr: tuple[int, ...]
    # Whether memory is to be kept busy by prefetches while numbers in cache are summed.
    prefetches: bool = True

    line_bytes: int = 64  # of a cache line
    l1_bytes: int = 1 << 15
    l2_bytes: int = 1 << 20

    # How far ahead is prefetched: in steps of k, of A where it is read down a column, and each step needs another cache
    # line, and of B; in samples; and how much of a row at a time.
    a_prefetch_steps: int = 12
    b_prefetch_steps: int = 24
    prefetched_samples: int = 8
    prefetched_numbers: int = 128
    samples_beyond: int = 32  # entries of `rows` behind a mini-batch's last block, which prefetches look at

    # Cycles: of two multiply-adds in a dot product, where gemm's take one; of adding up its lanes; and of transposing a
    # square of one vector's side.
    cycles_of_dot: float = 1.45
    cycles_of_lanes: float = 4
    cycles_of_transpose: float = 110

    # Threads.
    balanced_threads: int = 2  # so many are to have like shares of everything
    # How much larger than the mean a share may be. Even shares take 784-128-10, 32 samples a step on two threads, from
    # 116 to 86 us (docs/figures.md), where all were one thread's; that a tenth does not matter was not measured.
    max_imbalance: float = 1.1
    # With fewer operations a step, blocks of samples are not made for several threads: that they have like shares has
    # to depend on shapes alone.
    min_parallel_operations: int = 3_000_000
    # How long a step takes on one thread or more (docs/figures.md has what this was fitted to). Of float32: operations
    # a nanosecond, and nanoseconds of a number of an activation, there and back, and of a parameter that SGD or Adam
    # changes. Of threads: nanoseconds of a parallel region, and of a line that another core has changed: so many, and
    # the time that one alone takes to come, by how many come at the same time. Threads are used where they need at most
    # `max_share_of_time` of one thread's time.
    flops_per_nanosecond: float = 100.0
    nanoseconds_of_activation: float = 2.0
    nanoseconds_of_sgd: float = 0.33
    nanoseconds_of_adam: float = 0.94
    nanoseconds_of_region: float = 2700.0
    nanoseconds_of_line: float = 2.0
    lines_in_flight: float = 2.8
    max_share_of_time: float = 0.9

    # Products.
    gemv_columns: int = 1024  # of gemv_t: of the target and four rows they stay in the first-level cache
    packed_depth: int = 512  # rows of a large W that are packed at a time
    packed_numbers: int = 1 << 18  # that a packed piece of W takes at the most, gaps between its tiles included
    # Of dZ and A of some rows of pixels, which stay in the second-level cache while dW is summed: as a product, and in
    # dot products, of a few filters each.
    conv_chunk_bytes: int = 1 << 18
    conv_dot_bytes: int = 1 << 19
    # Of Winograd's convolutions: terms of some tiles, which stay in cache; how many tiles these are at the most; and
    # the fewest channels on either side.
    winograd_bytes: int = 1 << 19
    max_winograd_tiles: int = 8
    min_winograd_channels: int = 12
    winograd_taps: int = 6  # for as long as so many of the 9 taps of other convolutions they take, in public kernels
    conv_long_row: int = 12  # numbers of a row of a window, from which on dZ is transposed for dW
    dot_samples: int = 4  # whose features stay in the first-level cache while W is read
    backward_numbers: int = 1 << 14  # of W, which stay in cache for all samples of a SAMPLE_MAJOR mini-batch
    # Of W: a call for each row would take longer than its numbers, of which AVX-512 changes 16 at a time in float32; so
    # short rows are changed together, in one product. Found by trial, and not in docs/figures.md.
    short_row: int = 160
    features_at_once: int = 1024  # of packed inputs: a block's share of them stays in the second-level cache
    samples_at_once: int = 1024  # of the weight phase: a panel of them stays in the second-level cache
    panels_at_once: int = 4  # of a weight matrix's columns, so that samples are read some cache lines at a time

    # AMX: panels that are multiplied with one piece of A, and how deep that is. The panels' bf16x3 stays in the
    # second-level cache, the piece's in the first-level one.
    amx_panels: int = 16
    amx_depth: int = 128
    min_amx_extent: int = 64  # of a product's three extents
    min_amx_weights: int = 4160  # with fewer AMX gains a tenth at the most, and has to be compiled for

    # Blocks of samples.
    max_block_panels: int = 32
    blocks_together: int = 16  # that go through a layer one after the other, where W is not in the first-level cache
    blocks_per_partial: int = 8  # whose share of a fused dW is summed by itself, at the most
    cached_inputs_bytes: int = 1 << 26  # of samples that stay in the workspace, packed: two copies
    sample_major_share: int = 3  # samples of which more than so many times as many fit a vector are rows
    max_units_unpacked: int = 8  # of a first layer that reads such rows where they lie; an aligned copy else
    max_units_fused: int = 2  # of a single layer, at the most: dW is read and written once a block
    # Of a first layer whose dW is summed from samples' rows. 28 is the height of AVX-512's narrow micro-kernel: for
    # more units the rows, which lie anywhere in memory, would be read a second time.
    max_units_wgrad_rows: int = 28

    # The tail of the batch: samples of which at least so many times as many would fit a vector go one by one through a
    # dense layer with at least so many weights for each of them, in networks that gain enough to compile for it.
    tail_share: int = 4
    tail_weights: int = 1024
    min_tail_network: int = 10_000

    # Tasks of the weight phase.
    max_task_rows: int = 1024
    max_conv_task_rows: int = 64
    max_cached_panels: int = 16  # a task, of inputs that stay packed: while one is read, the next one is prefetched
    min_cached_tasks: int = 16
    task_columns: int = 1024  # of partial sums, and of samples' rows: a page of memory of each
    gradient_numbers: int = 8192  # of dW that stay in the first-level cache until the optimizer has used them
    task_numbers: int = 8192  # of a weight matrix, in whole rows, where samples are rows
    max_online_weights: int = 1 << 17  # of a network that takes one sample at a time on one thread

    # Blocks of the public kernels.
    kernel_block_bytes: int = 1 << 16  # of some samples side by side, copied from where they lie
    short_run: int = 64  # numbers: with fewer in a row, rows are copied to a longer run first
    short_row_bytes: int = 256  # of a sample: shorter ones are computed side by side
    min_parallel_bytes: int = (
        200_000  # that a kernel passes over: from 4 us on, of which threads save more than they cost
    )
    min_parallel_flops: int = 500_000  # multiply-adds of a product
    # Of a product: how deep a piece is multiplied at a time, and bytes of all its panels and of all its tiles, which
    # stay in the last cache.
    product_depth: int = 512
    product_columns_bytes: int = 1 << 22
    product_rows_bytes: int = 1 << 22
    optimizer_numbers: int = 4096  # parameters, gradients and two states fit the first-level caches
    copied_numbers: int = 8192
    fma_chains: int = 12  # independent sums: more than units times latency, fewer than registers, on any machine

    @property
    def panel_bytes(self) -> int:
        """Of a row of a packed panel: two vectors."""
        return 2 * self.vector_bytes

    @property
    def mc_bytes(self) -> int:
        """Of the matrix that gemm reads number by number: half of the second-level cache."""
        return self.l2_bytes // 2

    @property
    def block_bytes(self) -> int:
        """Of all A and dZ of a block of several panels: half of the first-level cache."""
        return self.l1_bytes // 2

    @property
    def input_chunk_bytes(self) -> int:
        """Of a sample's row that is used where it lies: so much of every unit's row of W stays in cache."""
        return self.l1_bytes // 2

    @property
    def fused_block_bytes(self) -> int:
        """Of a block's inputs that stay in the second-level cache until dW is summed."""
        return 3 * self.l2_bytes // 4

    @property
    def small_network_bytes(self) -> int:
        """Of all W of a network whose blocks go through it each for itself."""
        return self.l2_bytes // 2

    @property
    def large_w_bytes(self) -> int:
        """Of a W whose columns, read across its rows, need more pages than the processor's TLB knows."""
        return self.l2_bytes

    @property
    def bf16x3_panel_size(self) -> int:
        """Words of 4 bytes of one panel's bf16x3, or of the piece's that it is multiplied with."""
        return 48 * self.amx_depth

    @property
    def amx_scratch(self) -> int:
        """Words of 4 bytes of all bf16x3 that one thread has at a time."""
        return (self.amx_panels + 1) * self.bf16x3_panel_size


AVX512 = Target(64, (14, 12, 10, 8, 6, 4, 2, 1), (28, 24, 20, 16, 12, 8, 4, 2, 1), (4, 2, 1), (5, 2, 1))
AVX2 = Target(32, (6, 5, 4, 3, 2, 1), (12, 8, 4, 2, 1), (4, 2, 1), (2, 1), flops_per_nanosecond=90.0)
NEON = Target(16, (12, 10, 8, 6, 4, 2, 1), (24, 16, 8, 4, 2, 1), (4, 2, 1), (5, 2, 1), flops_per_nanosecond=60.0)
SSE2 = Target(16, (6, 4, 2, 1), (12, 8, 4, 2, 1), (4, 2, 1), (2, 1), flops_per_nanosecond=45.0)
