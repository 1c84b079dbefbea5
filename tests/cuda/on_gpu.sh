#!/usr/bin/env bash
# On a machine with a CUDA GPU, from a clone: the tests that need one, then all figures, in 8 minutes at the most.
#
#   tests/cuda/on_gpu.sh FOLDER                # in an environment that pip makes in FOLDER
#   tests/cuda/on_gpu.sh --installed FOLDER    # in what `python3` has, for machines that reach no package registry
#
# It writes results.json, summary.txt and log.txt to FOLDER, and its status tells whether all tests passed. Set TORCH, say
# to "torch", to let pip install a PyTorch with CUDA for comparison.
set -euo pipefail
[ "${1-}" = --installed ] && is_installed=1 && shift || is_installed=
folder=$(mkdir -p "${1:?give a folder}" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
python=python3
if [ ! "$is_installed" ]; then
    python3 -m venv "$folder/env"
    python=$folder/env/bin/python
    "$python" -m pip install --quiet '.[test,cuda,cublas]' ${TORCH:-}
    export NUMBA_CACHE_DIR="$folder/cache"
fi
export PYTHONPATH="$PWD:$PWD/kernels${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" tests/cuda/on_gpu.py "$folder"
