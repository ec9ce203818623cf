#!/usr/bin/env bash
# What goes wrong around GPUs, on a machine that has some, from an unpacked bundle (deploy/bundle.sh) and a checkout with the demo model:
# command lines that cannot be honoured, GPUs that are hidden, memory that does not do, and a worker that is killed in the middle of a generation
# (two GPUs: its peer ends within 10 s, memory is freed, the group comes back and serves). Prints one line a case; ends within 4 minutes.
#   tensor-parallel/failures.sh CHECKOUT [log folder]
set -uo pipefail
run="$(dirname "$(readlink -f "$0")")/run"
checkout="$(readlink -f "${1:?the checkout that holds deploy/demo-model}")"
logs="${2:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"
model="$checkout/deploy/demo-model"
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)
wrong=0

say() { # verdict, case, detail
    printf '%-4s %-38s %s\n' "$1" "$2" "$(tr '\n' ' ' <<<"$3" | cut -c1-260)"
    [ "$1" = ok ] || wrong=1
}
expect() { # name, exit code, text that must be said, then the command line
    local name="$1" code="$2" text="$3" got
    shift 3
    timeout 90 "$run" coordinator "$@" >"$logs/$name.out" 2>"$logs/$name.err"
    got=$?
    if [ $got -eq "$code" ] && grep -q -- "$text" "$logs/$name.err"; then
        say ok "$name" "$(grep -m 1 -- "$text" "$logs/$name.err")"
    else
        say BAD "$name" "exit code $got instead of $code, or \"$text\" is not said: $(tail -n 2 "$logs/$name.err")"
    fi
}
prompt=(--model "$model" --prompt "In the beginning" --max-new-tokens 4)

echo "== $gpus GPU(s)"
expect no-such-gpu 2 "GPU 97 is not there: this machine has GPU 0" generate "${prompt[@]}" --gpus 97
expect gpu-twice 2 "names GPU 0 2 times" generate "${prompt[@]}" --gpus 0,0
CUDA_VISIBLE_DEVICES='' expect no-visible-gpu 2 "sees no GPU\|failed with" generate "${prompt[@]}" --gpus 0
CUDA_VISIBLE_DEVICES='' expect no-visible-gpu-fallback 0 "No GPU is used, the model runs on" generate "${prompt[@]}"
expect cpu-beside 0 "tokens on 2 workers" generate "${prompt[@]}" --cpu-workers 2

# Not enough memory: a configuration of 70 B parameters needs 131 GiB of weights alone.
big="$checkout/tests/Golden/configs/llama-3.1-70b.json"
if [ -e "$big" ] && [ "$gpus" -eq 1 ]; then
    timeout 60 "$run" coordinator plan --model "$big" >"$logs/too-big.out" 2>"$logs/too-big.err"
    code=$?
    if [ $code -eq 2 ] && grep -q "are missing; " "$logs/too-big.err"; then
        say ok not-enough-memory "$(grep -m 1 "are missing" "$logs/too-big.err" | sed 's/.*KV cache, //')"
    elif [ $code -eq 0 ]; then
        say ok not-enough-memory "this GPU holds it: $(grep -m 1 "cuda:0" "$logs/too-big.out")"
    else
        say BAD not-enough-memory "exit code $code: $(tail -n 1 "$logs/too-big.err")"
    fi
fi

# A worker killed inside a step.
used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | head -n "$1" | awk '{s += $1} END {print s + 0}'; }
alive() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:.*Z' "/proc/$1/status"; }
since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}'; }
kill_one() { # number of workers
    local count="$1" name="kill-one-of-$1" list before server="" workers victim others started lost="" back="" freed
    list=$(seq -s, 0 $((count - 1)))
    before=$(used "$count")
    timeout 150 "$run" coordinator serve --model "$model" --gpus "$list" --port 0 --http-port 0 --log-level Debug \
        >"$logs/$name.out" 2>"$logs/$name.err" &
    local job=$!
    for _ in $(seq 400); do grep -q "is ready" "$logs/$name.out" && break; alive $job || break; sleep 0.1; done
    # The coordinator is the child of timeout, workers are its children.
    server=$(pgrep -P $job | head -n 1)
    workers=$([ -n "$server" ] && pgrep -P "$server" | tr '\n' ' ')
    if [ -z "$server" ] || [ "$(wc -w <<<"$workers")" -ne "$count" ]; then
        say BAD "$name" "there are not $count workers (${workers:-none}): $(tail -n 2 "$logs/$name.err")"
        kill -TERM "$job" 2>/dev/null
        wait $job
        return
    fi
    local address
    address=$(sed -nE 's/.*gRPC +(http[^ ]*).*/\1/p' "$logs/$name.out" | head -n 1)
    "$run" Benchmarks hold-generation "$address" 90 >"$logs/$name.client" 2>&1 &
    local client=$!
    for _ in $(seq 300); do grep -q "token" "$logs/$name.client" && break; alive $client || break; sleep 0.1; done
    victim=$(awk '{print $NF}' <<<"$workers")
    others=$(sed "s/ *$victim *$//" <<<"$workers")
    started=$(date +%s.%N)
    kill -9 "$victim"
    for _ in $(seq 200); do
        lost=1
        for other in $others; do alive "$other" && lost=""; done
        [ -n "$lost" ] && break
        sleep 0.1
    done
    local took
    took=$(since "$started")
    for _ in $(seq 600); do
        [ "$(pgrep -P "$server" | wc -l)" -eq "$count" ] && grep -q "again" "$logs/$name.client" && back=1 && break
        sleep 0.1
    done
    local restarted
    restarted=$(since "$started")
    kill -TERM "$server" 2>/dev/null
    kill "$client" 2>/dev/null
    wait $job $client 2>/dev/null
    sleep 1
    freed=$(($(used "$count") - before))
    local left
    left=$(pgrep -f "app/worker run" | wc -l)
    local text="others ended after $took s, serves again after $restarted s, GPU memory $freed MiB above before, $left worker processes left"
    if [ -n "$lost" ] && awk -v t="$took" 'BEGIN {exit !(t < 10)}' && [ -n "$back" ] && [ $freed -lt 200 ] && [ "$left" -eq 0 ]; then
        say ok "$name" "$text"
    else
        say BAD "$name" "$text; $(tail -n 1 "$logs/$name.client"); $(grep -m 1 -i "rank" "$logs/$name.err")"
    fi
}
[ "$gpus" -ge 1 ] && kill_one 1
[ "$gpus" -ge 2 ] && kill_one 2

# The coordinator killed: its workers end with it.
if [ "$gpus" -ge 1 ]; then
    list=$([ "$gpus" -ge 2 ] && echo 0,1 || echo 0)
    timeout 100 "$run" coordinator serve --model "$model" --gpus "$list" --port 0 --http-port 0 >"$logs/killed.out" 2>"$logs/killed.err" &
    job=$!
    for _ in $(seq 400); do grep -q "is ready" "$logs/killed.out" && break; sleep 0.1; done
    server=$(pgrep -P $job | head -n 1)
    workers=$([ -n "$server" ] && pgrep -P "$server" | tr '\n' ' ')
    gone=""
    started=$(date +%s.%N)
    [ -n "$server" ] && kill -9 "$server"
    for _ in $(seq 150); do
        [ -n "$workers" ] || break
        gone=1
        for worker in $workers; do alive "$worker" && gone=""; done
        [ -n "$gone" ] && break
        sleep 0.1
    done
    wait $job 2>/dev/null
    if [ -n "$gone" ] && [ -n "$workers" ]; then
        say ok killed-coordinator "workers ended after $(since "$started") s"
    else
        say BAD killed-coordinator "workers ${workers:-(none: $(tail -n 1 "$logs/killed.err"))} are there after 15 s"
    fi
fi
exit $wrong
