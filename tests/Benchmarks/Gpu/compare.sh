#!/usr/bin/env bash
# This runtime against transformers on the same GPUs, from an unpacked bundle (deploy/bundle.sh): `coordinator bench` of the 8B shape with
# random weights on 1, 2 and 4 GPUs (those there are), tensor parallel and device map, then transformers (python3 with torch and
# transformers) plain, with tp_plan="auto" and device_map="auto". Logs and JSON go to the folder given; one table is printed last.
#   tensor-parallel/compare.sh [log folder] [counts, default 1,2,4]
# Environment: CONFIG (another config.json), BENCH (options of bench in place of the grid), DEADLINE (seconds in all, default 460),
# PEERS=0 leaves transformers out.
set -uo pipefail
bundle="$(dirname "$(readlink -f "$0")")"
run="$bundle/run"
logs="${1:-.}"
counts="${2:-1,2,4}"
config="${CONFIG:-$bundle/configs/llama-3.1-8b.json}"
deadline="${DEADLINE:-460}"
read -ra grid <<<"${BENCH:---prompt-tokens 512,2048 --new-tokens 128 --batch 1,16,64 --runs 3}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | tee "$logs/gpu.txt"

status=0
files=()
for count in ${counts//,/ }; do
    [ "$count" -le "$gpus" ] || continue
    name="$logs/bench-$count"
    options=(--gpus "$(seq -s, 0 $((count - 1)))")
    if [ "$count" -gt 1 ]; then options+=(--compare device-map); else options+=(--profile); fi
    started=$SECONDS
    timeout -k 5 130 "$run" coordinator bench --weights random --model "$config" "${grid[@]}" "${options[@]}" --json "$name.json" \
        >"$name.txt" 2>"$name.err" || { status=1; echo "bench on $count GPU(s) failed: $(tail -n 1 "$name.err" | cut -c1-300)"; }
    echo "bench on $count GPU(s): $((SECONDS - started)) s"
    [ -s "$name.json" ] && files+=("$name.json")
done

if [ "${PEERS:-1}" != 0 ]; then
    started=$SECONDS
    REPS="${REPS:-2}" DEADLINE=$((deadline - SECONDS)) "$bundle/peers/run_hf.sh" "$config" "$counts" "$logs/hf.jsonl" || status=1
    echo "transformers: $((SECONDS - started)) s"
    files+=("$logs/hf.jsonl")
fi

for file in "$logs"/bench-*.txt; do
    echo "== $(basename "$file" .txt)"
    cut -c1-150 "$file"
done
echo "== this runtime and transformers, $(basename "$config" .json), bf16, random weights, medians; $SECONDS s in all (exit code $status)"
python3 "$bundle/peers/table.py" "${files[@]}"
exit $status
