#!/usr/bin/env bash
# On a machine with a CUDA GPU, from a clone: the tests that need one, then all figures, in about 10 minutes.
#
#   tests/cuda/on_gpu.sh FOLDER      # writes tests.txt, figures.txt and figures.json there
#
# It makes an environment of its own in FOLDER. Set TORCH, say to "torch", to install a PyTorch with CUDA for comparison.
set -euo pipefail
folder=$(mkdir -p "${1:?give a folder}" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
python3 -m venv "$folder/env"
source "$folder/env/bin/activate"
pip install --quiet '.[test,cuda,cublas]' ${TORCH:-}
export NUMBA_CACHE_DIR="$folder/cache"
timeout 240 pytest -q -m gpu tests/cuda 2>&1 | tee "$folder/tests.txt" || true
timeout 400 python -m fastnet.benchmarks.gpu "$folder/figures.json" 2>&1 | tee "$folder/figures.txt"
