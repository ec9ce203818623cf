#!/usr/bin/env bash
# Several models on GPUs, from an unpacked bundle (deploy/bundle.sh), with random weights of the 8B shape:
#  - turns: two models that do not fit into the budget together take each other's place (--offload model); their tokens stay the same,
#    and the times of evictions and of their undoing are told (the first eviction of a model copies its weights, later ones do not);
#  - loads: one more model is loaded and unloaded 20 times; GPU memory, processes and the coordinator's own memory do not grow;
#  - end: after the server's end the GPU has its memory back.
# On one GPU, then on two where there are two. Needs about 50 GB of free host memory. Prints one line a case; ends within 8 minutes.
#   tensor-parallel/models.sh [log folder]
set -uo pipefail
here="$(dirname "$(readlink -f "$0")")"
run="$here/run"
logs="${1:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)
config="$here/configs/llama-3.1-8b.json"

# What is loaded beside the two: four layers of the same shape, 4 GB.
small=$(mktemp -d)
trap 'rm -rf "$small"' EXIT
sed 's/"num_hidden_layers": 32/"num_hidden_layers": 4/' "$config" >"$small/small.json"
wrong=0

say() { # verdict, case, detail
    printf '%-4s %-22s %s\n' "$1" "$2" "$(tr '\n' ' ' <<<"$3" | cut -c1-400)"
    [ "$1" = ok ] || wrong=1
}
used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | head -n "$1" | awk '{s += $1} END {print s + 0}'; }

models() { # number of GPUs, budget of each, rounds of loads
    local count="$1" budget="$2" rounds="$3" name="models-$1" list memory before
    list=$(seq -s, 0 $((count - 1)))
    memory=$(seq 0 $((count - 1)) | sed "s/\$/=$budget/" | paste -sd,)
    before=$(used "$count")
    timeout 400 "$run" coordinator serve --model "a=$config" --model "b=$config" --weights random --gpus "$list" --max-memory "$memory" \
        --max-context 2048 --max-sequences 4 --offload model --admin-port 0 --model-root "$small" --port 0 --http-port 0 \
        --log-level Debug >"$logs/$name.out" 2>"$logs/$name.err" &
    local job=$!
    for _ in $(seq 1200); do grep -q "stop  Ctrl-C" "$logs/$name.out" && break; kill -0 $job 2>/dev/null || break; sleep 0.1; done
    local address admin
    address=$(sed -nE 's/.*gRPC +(http[^ ]*).*/\1/p' "$logs/$name.out" | head -n 1)
    admin=$(sed -nE 's/.*admin +(http[^ ]*).*/\1/p' "$logs/$name.out" | head -n 1)
    if [ -z "$admin" ]; then
        say BAD "start-$count" "$(tail -n 2 "$logs/$name.err")"
        kill -TERM $job 2>/dev/null
        wait $job
        return
    fi
    local code resident grown
    resident=$(($(used "$count") - before))
    timeout 200 "$run" Benchmarks model-turns "$address" "$admin" 4 >"$logs/turns-$count.txt" 2>&1
    code=$?
    grown=$(($(used "$count") - before - resident))
    if [ $code -eq 0 ] && [ $grown -lt 200 ]; then
        say ok "turns-$count" "GPU memory $resident MiB, $grown MiB more after all turns; $(cat "$logs/turns-$count.txt")"
    else
        say BAD "turns-$count" "exit code $code, $grown MiB more after all turns; $(tail -n 3 "$logs/turns-$count.txt")"
    fi
    if [ "$rounds" -gt 0 ]; then
        # The first round makes what is made once (kernels, caches); growth counts from there.
        timeout 100 "$run" Benchmarks model-loads "$address" "$admin" "$small/small.json" 1 >"$logs/loads-$count.txt" 2>&1
        resident=$(used "$count")
        timeout 300 "$run" Benchmarks model-loads "$address" "$admin" "$small/small.json" "$rounds" >>"$logs/loads-$count.txt" 2>&1
        code=$?
        grown=$(($(used "$count") - resident))
        local text
        text="GPU memory $grown MiB more after $rounds rounds; first: $(sed -n 1p "$logs/loads-$count.txt"); last: $(tail -n 1 "$logs/loads-$count.txt")"
        if [ $code -eq 0 ] && [ $grown -lt 100 ]; then say ok "loads-$count" "$text"; else say BAD "loads-$count" "exit code $code; $text"; fi
    fi
    pkill -TERM -P $job 2>/dev/null # the coordinator is the child of timeout
    wait $job
    # The driver takes its time over a process that is gone.
    for _ in $(seq 100); do grown=$(($(used "$count") - before)); [ $grown -lt 200 ] && break; sleep 0.1; done
    if [ $grown -lt 200 ]; then say ok "end-$count" "$grown MiB above before"; else say BAD "end-$count" "$grown MiB above before"; fi
}

echo "== $gpus GPU(s)"
[ "$gpus" -ge 1 ] && models 1 24GiB 20
[ "$gpus" -ge 2 ] && models 2 12GiB 0
exit $wrong
