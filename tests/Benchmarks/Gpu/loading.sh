#!/usr/bin/env bash
# Loading and starting, from an unpacked bundle (deploy/bundle.sh): `gpu-ops load` on one GPU, then `coordinator generate` on the 8B shape
# from memory-backed files with a cold and a warm module cache, on 1, 2 and 4 GPUs as far as there are. Needs 19 GB of /dev/shm for
# the whole shape; takes fewer layers where there is less. Ends within 6 minutes.
#   tensor-parallel/loading.sh [log folder]
set -uo pipefail
run="$(dirname "$(readlink -f "$0")")/run"
logs="${1:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1
nproc
df -h /dev/shm | tail -n 1

timeout 150 "$run" Benchmarks gpu-ops load 2>&1 | tee "$logs/gpu-ops-load.txt" | cut -c1-160

folder=/dev/shm/tensor-parallel-loading.$$
trap 'rm -rf "$folder"' EXIT
timeout 90 "$run" Benchmarks load-checkpoint "$folder" || exit 1
status=0
start() { # name, then device options
    local name="$1"
    shift
    if timeout 80 "$run" coordinator generate --model "$folder" --prompt-ids 1,2,3,4,5,6,7,8 --max-new-tokens 8 --ignore-eos --json "$@" \
        >"$logs/start-$name.json" 2>"$logs/start-$name.err"; then
        tr -d ' \n' <"$logs/start-$name.json" | sed -nE \
            "s/.*\"load_s\":([0-9.]+),\"load_gb_s\":([0-9.]+),\"ttft_ms\":([0-9.]+).*/$name: load_s \1, load_gb_s \2, ttft_ms \3/p"
        tr -d '\n' <"$logs/start-$name.json" | sed -nE 's/.*"start":(\{.*\]\}).*/\1/p' |
            sed -E 's/"name"://g; s/"first_token_s":/first token s: /; s/"parts"://; s/"at_s"/at/g; s/"s"/took/g; s/(\.[0-9]{2})[0-9]+/\1/g' | cut -c1-900
    else
        echo "$name: FAILED: $(tail -n 1 "$logs/start-$name.err" | cut -c1-300)"
        status=1
    fi
}
start 1-cold --gpus 0
start 1-warm --gpus 0
[ "$gpus" -ge 2 ] && start 2-warm --gpus 0,1
[ "$gpus" -ge 4 ] && start 4-warm --gpus 0,1,2,3
exit $status
