#!/usr/bin/env bash
# Models that do not fit, on one GPU, from an unpacked bundle (deploy/bundle.sh) and a checkout with its goldens and demo model: the GPU tests
# of offloading, the demo model's tokens with every kind of offloading against the plain run, then the 8B shape in 8 GiB and the 70B shape in
# what the GPU has, with random weights. Logs and JSON go to the folder given, a short table is printed last. Ends within 6 minutes.
#   tensor-parallel/offload.sh CHECKOUT [log folder]
# Environment: LARGE (--max-memory of the 70B shape; default by the GPU's size), LARGE=0 leaves it out; TESTS=0 leaves out the tests;
# PEERS=1: transformers with the 8B shape in 8 GiB and the rest on the CPU, too.
set -uo pipefail
bundle="$(dirname "$(readlink -f "$0")")"
run="$bundle/run"
checkout="$(readlink -f "${1:?the checkout that holds tests/Golden and deploy/demo-model}")"
logs="${2:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}" TENSOR_PARALLEL_REPOSITORY="$checkout"
status=0
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | tee "$logs/gpu.txt"
total=$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits 2>/dev/null | head -n 1)

if [ "${TESTS:-1}" != 0 ]; then
    started=$SECONDS
    timeout 170 "$run" Worker.Gpu.Tests --filter-class "*Offload*" "*Evict*" "*VirtualMemory*" >"$logs/test-offload.log" 2>&1 || status=1
    echo "tests ($((SECONDS - started)) s): total, failed, succeeded, skipped: $(sed -nE 's/^ *(total|failed|succeeded|skipped): *([0-9]+).*/\2/p' "$logs/test-offload.log" | tr '\n' ' ')"
    grep -h -E -A 4 "^failed " "$logs/test-offload.log" | cut -c1-330 | head -n 40
fi

# The demo model (18 MB in bfloat16) with every kind, tokens against the plain run.
generate() { # name, then options
    local name="$1"
    shift
    timeout 45 "$run" coordinator generate --model "$checkout/deploy/demo-model" --prompt "In the beginning" --json --temperature 0 --ignore-eos \
        --max-new-tokens 64 --max-context 512 --max-sequences 2 --dtype float32 "$@" >"$logs/generate-$name.json" 2>"$logs/generate-$name.err"
}
tokens() { tr -d ' \n' <"$logs/generate-$1.json" | sed -nE 's/.*"token_ids":\[([0-9,]*)\].*/\1/p'; }
generate plain --gpus 0
for kind in model sequential group; do generate "$kind" --gpus 0 --offload "$kind"; done
generate groups-of-two --gpus 0 --offload group --blocks-per-group 2
for name in model sequential group groups-of-two; do
    if [ -n "$(tokens plain)" ] && [ "$(tokens plain)" = "$(tokens "$name")" ]; then
        echo "ok   --offload $name: 64 tokens as by the plain run"
    else
        status=1
        echo "BAD  --offload $name: $(tail -n 1 "$logs/generate-$name.err" | cut -c1-300)"
    fi
done

bench() { # name, shape, then options
    local name="$1" shape="$2" started=$SECONDS
    shift 2
    timeout -k 5 170 "$run" coordinator bench --weights random --model "$bundle/configs/$shape.json" --prompt-tokens 512 --new-tokens 12 --batch 1 --runs 2 \
        --max-context 1024 --max-sequences 1 --json "$logs/$name.json" "$@" >"$logs/$name.txt" 2>"$logs/$name.err" ||
        { status=1; echo "$name failed: $(tail -n 1 "$logs/$name.err" | cut -c1-400)"; }
    echo "$name: $((SECONDS - started)) s"
}
bench small llama-3.1-8b --max-memory 0=8GiB,cpu=100GiB --offload group
TP_OFFLOAD_HOST_COMPUTE=0 bench small-bus llama-3.1-8b --max-memory 0=8GiB,cpu=100GiB --offload group
TP_OFFLOAD_HOST_COMPUTE=0 bench small-profile llama-3.1-8b --max-memory 0=8GiB,cpu=100GiB --offload group --profile
large="${LARGE:-$([ "${total:-0}" -gt 100000 ] && echo 0=100GiB,cpu=100GiB || echo 0=64GiB,cpu=100GiB)}"
[ "$large" = 0 ] || TP_OFFLOAD_HOST_COMPUTE=0 bench large llama-3.1-70b --max-memory "$large" --offload group
if [ "${PEERS:-0}" != 0 ]; then
    OFFLOAD=0=8GiB,cpu=100GiB REPS=1 DEADLINE=150 "$bundle/peers/run_hf.sh" "$bundle/configs/llama-3.1-8b.json" 1 "$logs/hf.jsonl" || status=1
fi
for file in small small-bus small-profile large; do
    [ -s "$logs/$file.txt" ] && { echo "== $file"; cut -c1-170 "$logs/$file.txt"; }
done
[ -s "$logs/hf.jsonl" ] && cut -c1-400 "$logs/hf.jsonl"
exit $status
