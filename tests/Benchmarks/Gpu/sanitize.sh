#!/usr/bin/env bash
# Memory errors and races of the kernels, on one GPU, from an unpacked bundle (deploy/bundle.sh) and a checkout with the demo model: the
# demo model and conformance tests, sampling's among them, under compute-sanitizer, which comes with the CUDA toolkit; all beside each
# other, for the processor is what they wait for. Says so where it is absent. A run that is cut off counts for what it has seen.
#   tensor-parallel/sanitize.sh CHECKOUT [log folder] [most seconds of all runs, default 270]
set -uo pipefail
run="$(dirname "$(readlink -f "$0")")/run"
checkout="$(readlink -f "${1:?the checkout that holds deploy/demo-model}")"
logs="${2:-.}"
limit="${3:-270}"
mkdir -p "$logs"
rm -f "$logs/wrong"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}" TENSOR_PARALLEL_REPOSITORY="$checkout"
model="$checkout/deploy/demo-model"

sanitizer=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer \
    "${CUDA_HOME:-/usr/local/cuda}"/compute-sanitizer/compute-sanitizer 2>/dev/null | head -n 1)
if [ -z "$sanitizer" ]; then
    echo "compute-sanitizer is not on this machine (path, CUDA_HOME, /usr/local/cuda): nothing was checked."
    exit 3
fi
"$sanitizer" --version | tail -n 1

# Kernels are compiled without the sanitizer first: its time is for running them.
prompt="In the beginning God created the heaven and the earth. And the earth was without form, and void."
generate=(coordinator generate --model "$model" --prompt "$prompt" --max-new-tokens 12 --temperature 0 --gpus 0
    --max-context 256 --max-sequences 2 --step-timeout 300 --log-level Information)
for dtype in bfloat16 float32; do
    timeout 60 "$run" "${generate[@]}" --dtype $dtype >"$logs/plain-$dtype.out" 2>"$logs/plain-$dtype.err" ||
        { echo "The demo model does not run without the sanitizer: $(tail -n 1 "$logs/plain-$dtype.err" | cut -c1-300)"; exit 1; }
done
tests() { # name, then a filter
    local name="$1"
    shift
    timeout 120 "$run" Worker.Gpu.Tests "$@" >"$logs/plain-$name.out" 2>&1 ||
        { echo "$name fails without the sanitizer: see $logs/plain-$name.out"; exit 1; }
}
streamed=(--filter-class "*StreamedProductTests*")
prefill=(--filter-method "*Prefill_matches*")
odd=(--filter-class "*CudaOpsUnaligned*")
sampling=(--filter-class "*CudaSamplingConformance*")
bfloat16=(--filter-class "*CudaOpsBFloat16*")
tests streamed "${streamed[@]}"
tests prefill "${prefill[@]}"
tests sampling "${sampling[@]}"

check() { # tool, name, then a command line
    local tool="$1" name="$2" log="$logs/$1-$2.txt" code errors started=$SECONDS
    shift 2
    timeout -k 5 "$limit" "$sanitizer" --tool "$tool" --target-processes all --print-limit 20 --error-exitcode 86 \
        "$@" >"$log" 2>&1
    code=$?
    errors=$(sed -nE 's/.*ERROR SUMMARY: ([0-9]+) error.*/\1/p; s/.*RACECHECK SUMMARY: ([0-9]+) hazard.*/\1/p' "$log" | awk '{s += $1} END {print s + 0}')
    local hits
    hits=$(grep -c -E "^=+ (Invalid|Misaligned|Race|Error:|Warning: Race|Uninitialized|Out-of)" "$log")
    echo "$tool $name: $errors errors in summaries, $hits lines of errors, exit code $code$([ $code -ge 124 ] && [ $code -ne 255 ] && echo ' (cut off)'), $((SECONDS - started)) s"
    if [ "$errors" -gt 0 ] || [ "$hits" -gt 0 ] || [ $code -eq 86 ]; then
        touch "$logs/wrong"
        grep -E -A 6 "^=+ (Invalid|Misaligned|Race|Error:|Warning: Race|Uninitialized|Out-of|Program hit)" "$log" | head -n 40 | cut -c1-200
    fi
}
for tool in memcheck racecheck; do
    # The worker is a child of the coordinator: --target-processes all follows it.
    check "$tool" generate-bfloat16 "$run" "${generate[@]}" --dtype bfloat16 &
    check "$tool" generate-float32 "$run" "${generate[@]}" --dtype float32 &
    check "$tool" streamed "$run" Worker.Gpu.Tests "${streamed[@]}" &
    check "$tool" prefill "$run" Worker.Gpu.Tests "${prefill[@]}" &
    check "$tool" odd "$run" Worker.Gpu.Tests "${odd[@]}" &
    check "$tool" sampling "$run" Worker.Gpu.Tests "${sampling[@]}" &
    check "$tool" bfloat16 "$run" Worker.Gpu.Tests "${bfloat16[@]}" &
done
wait
[ ! -e "$logs/wrong" ]
