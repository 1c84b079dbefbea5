"""Which `Target` Numba compiles for."""

from numba.core.registry import cpu_target

from ..target import AVX2, AVX512, NEON, SSE2


def _processor():
    """What Numba compiles for: a processor's name and features, or NUMBA_CPU_NAME and NUMBA_CPU_FEATURES."""
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return name, set(features.split(","))


def _target():
    name, features = _processor()
    kinds = (("+avx512f", AVX512), ("+avx2", AVX2), ("+neon", NEON))
    target = next((target for feature, target in kinds if feature in features), SSE2)
    # AMD's own prefetchers fill the second-level cache as fast as it can be filled: more requests only slow them.
    return target._replace(prefetches=False) if name.startswith("znver") else target


TARGET = _target()
HAS_AMX = TARGET.vector_bytes == 64 and _processor()[1] >= {"+amx-tile", "+amx-bf16"}
VECTOR_BYTES = TARGET.vector_bytes
LINE_BYTES = TARGET.line_bytes
PANEL_BYTES = TARGET.panel_bytes
