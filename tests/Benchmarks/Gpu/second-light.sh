#!/usr/bin/env bash
# Whole models on GPUs, from an unpacked bundle (deploy/bundle.sh) and a checkout with its goldens and demo model: the GPU tests, then
# `coordinator generate` on 1 GPU, and on 2 and 4 where there are as many, against the CPU's tokens. Full logs go to the folder given; a short
# table is printed last. Ends within 8 minutes.
#   tensor-parallel/second-light.sh CHECKOUT [log folder]        RUNNER=0 leaves out the cost of the host
set -uo pipefail
run="$(dirname "$(readlink -f "$0")")/run"
checkout="$(readlink -f "${1:?the checkout that holds tests/Golden and deploy/demo-model}")"
logs="${2:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}" TENSOR_PARALLEL_REPOSITORY="$checkout"
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | tee "$logs/gpu.txt"

# One process a test class, all at once: an illegal access spoils its process's context, and only that.
started=$SECONDS
classes=(CudaModel CudaSampling CudaRandomWeights CudaMeasuring GraphStepping NcclConformance NcclGraph PeerMemory CudaOpsBFloat16 CudaOpsFloat16
    CudaOpsFloat32 CudaOpsUnaligned Gemv StreamedProduct CudaDevice CudaOffload CudaShard CudaPlannedMemory)
pids=()
for class in "${classes[@]}"; do
    timeout 170 "$run" Worker.Gpu.Tests --filter-class "*.$class*" >"$logs/test-$class.log" 2>&1 &
    pids+=($!)
done
tests=0
for pid in "${pids[@]}"; do wait "$pid" || tests=1; done
# By itself: it looks at how much memory of the GPU is free.
timeout 60 "$run" Worker.Gpu.Tests --filter-class "*.CudaEvict*" >"$logs/test-CudaEvict.log" 2>&1 || tests=1
tests_took=$((SECONDS - started))

generate() { # name, then device options and dtype
    local name="$1"
    shift
    timeout 45 "$run" coordinator generate --model "$checkout/deploy/demo-model" --prompt "In the beginning" --json \
        --temperature 0 --ignore-eos --max-new-tokens 64 "$@" >"$logs/generate-$name.json" 2>"$logs/generate-$name.err"
}
field() { # file, name: a number or the numbers of a list
    tr -d ' \n' <"$1" | sed -nE "s/.*\"$2\":\[?([0-9.,eE+-]*[0-9]).*/\1/p"
}
row() { # name, dtype
    local file="$logs/generate-$1.json" cpu="$logs/generate-cpu-$2.json" ours theirs same=0 first
    if ! ours=$(field "$file" token_ids) || [ -z "$ours" ]; then
        echo "$1: FAILED: $(tail -n 1 "$logs/generate-$1.err" | cut -c1-300)"
        wrong=1
        return
    fi
    theirs=$(field "$cpu" token_ids)
    IFS=, read -ra a <<<"$ours"
    IFS=, read -ra b <<<"$theirs"
    while [ $same -lt ${#a[@]} ] && [ "${a[$same]}" = "${b[$same]:-}" ]; do same=$((same + 1)); done
    first="$(field "$file" ttft_ms) ms to first token, $(field "$file" decode_tokens_per_s) tok/s, load $(field "$file" load_s) s"
    echo "$1: $same of ${#a[@]} tokens as on the CPU; $first"
    # In bfloat16 the CPU computes in float32 between weights, so tokens may part where two logits are close.
    if [ "$2" = float32 ] && { [ $same -ne 64 ] || [ ${#a[@]} -ne 64 ]; }; then wrong=1; fi
}
for dtype in float32 bfloat16; do
    generate "cpu-$dtype" --cpu-workers 2 --dtype $dtype
    generate "gpu1-$dtype" --gpus 0 --dtype $dtype
    if [ "$gpus" -ge 2 ]; then
        generate "gpu2-$dtype" --gpus 0,1 --dtype $dtype
        generate "map2-$dtype" --gpus 0,1 --device-map --dtype $dtype
    fi
    if [ "$gpus" -ge 4 ]; then
        generate "gpu4-$dtype" --gpus 0,1,2,3 --dtype $dtype
        generate "map4-$dtype" --gpus 0,1,2,3 --device-map --dtype $dtype
    fi
done

# What the host costs: the same steps issued, replayed and waited for, and replayed with one ahead.
[ "${RUNNER:-1}" = 0 ] || timeout 100 "$run" Benchmarks gpu-ops runner >"$logs/runner.log" 2>&1 || echo "gpu-ops runner: FAILED, see runner.log"

echo "== failures"
grep -h -E -A 4 "^failed " "$logs"/test-*.log | cut -c1-330 | head -n 60
for error in "$logs"/generate-*.err; do grep -iE "error|fail|Rank|cannot" "$error" | head -n 3 | cut -c1-300; done
echo "== tests (exit code $tests, $tests_took s): log, total, failed, succeeded, skipped"
for log in "$logs"/test-*.log; do
    echo "$(basename "$log" .log): $(sed -nE 's/^ *(total|failed|succeeded|skipped): *([0-9]+).*/\2/p' "$log" | tr '\n' ' ')"
done
echo "== steps"
[ -e "$logs/runner.log" ] && cat "$logs/runner.log"
echo "== generate"
wrong=0
for dtype in float32 bfloat16; do
    for name in cpu gpu1 gpu2 map2 gpu4 map4; do
        [ -e "$logs/generate-$name-$dtype.json" ] && row "$name-$dtype" $dtype
    done
done
exit $((tests || wrong))
