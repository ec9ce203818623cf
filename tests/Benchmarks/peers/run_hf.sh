#!/usr/bin/env bash
# transformers on the shape of a config.json: plain on one GPU, then for each larger number of GPUs tp_plan="auto" and device_map="auto".
#   run_hf.sh CONFIG.json [COUNTS] [RESULTS.jsonl]     e.g. run_hf.sh configs/llama-3.1-8b.json 1,2,4 hf.jsonl
# Needs python3 with torch and transformers. The checkpoint of random weights is made on the GPU and written to memory (/dev/shm, or a
# tmpfs where that is too small), or to BIGDIR. Environment: CASES (PROMPTxNEWxBATCH,…), MAP_CASES for the device map, REPS, DEADLINE
# (seconds from the start after which nothing new is begun), PY; OFFLOAD: places and bytes such as 0=8GiB,cpu=100GiB: then only a model that
# does not fit on its GPU is measured, with the rest on the CPU.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
config="$(readlink -f "${1:?the config.json whose shape is measured}")"
counts="${2:-1}"
results="${3:-hf.jsonl}"
log="${results%.jsonl}.log"
cases="${CASES:-512x128x1,512x128x16,512x128x64,2048x8x1}"
map_cases="${MAP_CASES:-512x128x1,512x128x16}"
reps="${REPS:-3}"
deadline="${DEADLINE:-900}"
python="${PY:-python3}"
# NVLink multicast can put a shared host's GPUs out of service: it stays off.
export NCCL_NVLS_ENABLE=0 TORCH_SYMM_MEM_DISABLE_MULTICAST=1 NVSHMEM_DISABLE_NVLS=1
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-lo}" GLOO_SOCKET_IFNAME="${GLOO_SOCKET_IFNAME:-lo}"

step() { # seconds, command: within its own limit and the deadline; a failure is told, never fatal
    local limit="$1" left=$((deadline - SECONDS))
    shift
    if [ "$left" -lt 20 ]; then
        echo "run_hf.sh: no time left for: $*"
        return 1
    fi
    timeout -k 5 $((limit < left ? limit : left)) "$@" >>"$log" 2>&1 || {
        echo "run_hf.sh: exit code $? of: $* (log: $log)"
        return 1
    }
}
folder() { # GiB: a folder in memory that holds them, else /tmp
    local need="$1" candidate
    if [ -n "${BIGDIR:-}" ]; then
        echo "$BIGDIR"
        return
    fi
    if ! mountpoint -q /tmp/peers-ram 2>/dev/null; then
        mkdir -p /tmp/peers-ram
        mount -t tmpfs -o "size=$((need + 4))G" tmpfs /tmp/peers-ram 2>/dev/null || true
    fi
    for candidate in /tmp/peers-ram /dev/shm; do
        [ "$candidate" = /tmp/peers-ram ] && ! mountpoint -q /tmp/peers-ram && continue
        if [ "$(df -BG --output=avail "$candidate" | tail -1 | tr -dc 0-9)" -ge "$need" ]; then
            echo "$candidate"
            return
        fi
    done
    echo /tmp
}

gigabytes=$("$python" - "$config" <<'PYTHON'
import json, sys
c = json.load(open(sys.argv[1]))
h, i, v, layers = c["hidden_size"], c["intermediate_size"], c["vocab_size"], c["num_hidden_layers"]
q, kv = c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
print(2 * (layers * h * (2 * q + 2 * kv + 3 * i) + 2 * v * h) // 2**30 + 1)
PYTHON
) || exit 1
dir="$(folder "$gigabytes")/$(basename "$config" .json)"
: >"$log"
touch "$results"
step 240 "$python" "$here/hf_bench.py" make --config "$config" --dir "$dir" --jsonl "$results" || { tail -n 3 "$log"; exit 1; }
have=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
status=0
for count in ${counts//,/ }; do
    [ "$count" -le "$have" ] || { echo "run_hf.sh: $count GPUs are asked for, $have are here"; continue; }
    CUDA_VISIBLE_DEVICES=$(seq -s, 0 $((count - 1)))
    export CUDA_VISIBLE_DEVICES
    common=(--dir "$dir" --reps "$reps" --jsonl "$results")
    if [ -n "${OFFLOAD:-}" ]; then
        step 170 "$python" "$here/hf_bench.py" bench --mode offload --max-memory "$OFFLOAD" --warmup 0 --cases "${CASES:-512x6x1}" "${common[@]}" || status=1
        continue
    fi
    if [ "$count" -eq 1 ]; then
        step 170 "$python" "$here/hf_bench.py" bench --mode single --cases "$cases" "${common[@]}" || status=1
        continue
    fi
    OMP_NUM_THREADS=4 step 170 "$python" -m torch.distributed.run --nnodes 1 --nproc-per-node "$count" --node-rank 0 \
        --master-addr 127.0.0.1 --master-port $((29500 + count + RANDOM % 400)) \
        "$here/hf_bench.py" bench --mode tp --cases "$cases" "${common[@]}" || status=1
    step 170 "$python" "$here/hf_bench.py" bench --mode devmap --cases "$map_cases" "${common[@]}" || status=1
done
[ -n "${KEEP_CHECKPOINT:-}" ] || rm -rf "$dir"
exit $status
