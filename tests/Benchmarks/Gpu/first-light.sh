#!/usr/bin/env bash
# The first thing to run on a machine with a GPU, from an unpacked bundle (deploy/bundle.sh): conformance tests of the CUDA
# operations, then the speed of each. Full logs go to the folder given (default: .); a short table is printed last.
#   tensor-parallel/first-light.sh [log folder] [gpu-ops sections ...]
set -uo pipefail
run="$(dirname "$(readlink -f "$0")")/run"
logs="${1:-.}"
shift $(($# > 0 ? 1 : 0))
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | tee "$logs/gpu.txt"
started=$SECONDS

# One process a test class, all at once: an illegal access spoils its process's context, and only that.
run_tests() { # folder
    mkdir -p "$1"
    local classes=(CudaOpsBFloat16 CudaOpsFloat16 CudaOpsFloat32 CudaOpsUnaligned Gemv CudaDevice) class pids=()
    for class in "${classes[@]}"; do
        timeout 240 "$run" Worker.Gpu.Tests --filter-class "*.$class*" >"$1/$class.log" 2>&1 &
        pids+=($!)
    done
    local status=0
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    return $status
}
run_tests "$logs/tests"
tests=$?
if [ $tests -ne 0 ]; then
    # Once more with kernels strictly one after the other: a difference points at early launches.
    TP_CUDA_EARLY_LAUNCH=0 run_tests "$logs/tests-no-early-launch"
fi
tests_took=$((SECONDS - started))

timeout 300 "$run" Benchmarks gpu-ops "$@" >"$logs/gpu-ops.txt" 2>&1
bench=$?
if [ $bench -eq 0 ] && [ $# -eq 0 ]; then
    TP_CUDA_EARLY_LAUNCH=0 timeout 60 "$run" Benchmarks gpu-ops step >"$logs/step-no-early-launch.txt" 2>&1
fi

echo "== failures"
grep -h -E -A 4 "^failed " "$logs"/tests/*.log | cut -c1-330 | head -n 70
echo "== speed (exit code $bench)"
cut -c1-150 "$logs/gpu-ops.txt"
[ -e "$logs/step-no-early-launch.txt" ] && echo "-- step without early launches" && grep "rank of" "$logs/step-no-early-launch.txt"
echo "== tests (exit code $tests, $tests_took s): log, total, failed, succeeded, skipped"
for log in "$logs"/tests*/*.log; do
    echo "$(basename "$(dirname "$log")")/$(basename "$log" .log): $(sed -nE 's/^ *(total|failed|succeeded|skipped): *([0-9]+).*/\2/p' "$log" | tr '\n' ' ')"
done
exit $((tests || bench))
