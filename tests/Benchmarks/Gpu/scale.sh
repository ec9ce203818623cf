#!/usr/bin/env bash
# What more GPUs bring, from an unpacked bundle (deploy/bundle.sh): sums between GPUs, the 8B shape on one GPU and on all of them (tensor
# parallel beside device map, batches of 1, 16 and 64, prompts up to 8,192), the 70B shape where four GPUs hold it, and loading by all
# at once. Random weights; logs and JSON go to the folder given, a short table is printed last. Ends within 7 minutes.
#   tensor-parallel/scale.sh [log folder] [number of GPUs, default all]
set -uo pipefail
bundle="$(dirname "$(readlink -f "$0")")"
run="$bundle/run"
logs="${1:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"
gpus="${2:-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)}"
all=$(seq -s, 0 $((gpus - 1)))
status=0
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | tee "$logs/gpu.txt"

bench() { # name, shape, then options of bench
    local name="$1" shape="$2" started=$SECONDS
    shift 2
    timeout -k 5 150 "$run" coordinator bench --weights random --model "$bundle/configs/$shape.json" --runs 3 --json "$logs/$name.json" "$@" \
        >"$logs/$name.txt" 2>"$logs/$name.err" || { status=1; echo "$name failed: $(tail -n 1 "$logs/$name.err" | cut -c1-300)"; }
    echo "$name: $((SECONDS - started)) s"
}
timeout 90 "$run" Benchmarks gpu-allreduce "$gpus" >"$logs/allreduce.txt" 2>&1 || { status=1; echo "gpu-allreduce failed"; }
bench one-1 llama-3.1-8b --gpus 0 --new-tokens 128 --prompt-tokens 512,2048,8192 --batch 1
bench all-1 llama-3.1-8b --gpus "$all" --new-tokens 128 --prompt-tokens 512,2048,8192 --batch 1 --compare device-map
bench one-64 llama-3.1-8b --gpus 0 --new-tokens 64 --prompt-tokens 512 --batch 16,64
bench all-64 llama-3.1-8b --gpus "$all" --new-tokens 64 --prompt-tokens 512 --batch 16,64
bench profile llama-3.1-8b --gpus "$all" --new-tokens 64 --prompt-tokens 512 --batch 1 --profile
[ "$gpus" -ge 4 ] && bench large llama-3.1-70b --gpus "$all" --new-tokens 64 --prompt-tokens 512 --batch 1 --max-context 1024 --max-sequences 1

folder=/dev/shm/tensor-parallel-scale.$$
trap 'rm -rf "$folder"' EXIT
if timeout 90 "$run" Benchmarks load-checkpoint "$folder" >"$logs/load-checkpoint.txt" 2>&1; then
    for attempt in cold warm; do
        timeout 80 "$run" coordinator generate --model "$folder" --prompt-ids 1,2,3,4,5,6,7,8 --max-new-tokens 8 --ignore-eos --json --gpus "$all" \
            >"$logs/load-$attempt.json" 2>"$logs/load-$attempt.err" || { status=1; tail -n 1 "$logs/load-$attempt.err" | cut -c1-300; }
    done
fi
for file in allreduce one-1 all-1 one-64 all-64 profile large; do
    [ -s "$logs/$file.txt" ] && { echo "== $file"; cut -c1-170 "$logs/$file.txt"; }
done
for attempt in cold warm; do
    [ -s "$logs/load-$attempt.json" ] && tr -d ' \n' <"$logs/load-$attempt.json" | sed -nE \
        "s/.*\"load_s\":([0-9.]+),\"load_gb_s\":([0-9.]+),\"ttft_ms\":([0-9.]+).*/loading by $gpus, $attempt: \1 s, \2 GB\/s, first token after \3 ms\n/p"
done
exit $status
