#!/usr/bin/env bash
# A device map whose stages work at once, from an unpacked bundle (deploy/bundle.sh): the 8B shape with random weights on all GPUs (two or
# more), beside the same map with one stage at a time and beside one GPU: one stream, the prefill of 8 prompts of 2,048 tokens, and decoding
# of 256 sequences of 1,024. Logs and JSON go to the folder given, a short table is printed last. Ends within 5 minutes.
#   tensor-parallel/pipeline.sh [log folder] [number of GPUs, default all]
set -uo pipefail
bundle="$(dirname "$(readlink -f "$0")")"
run="$bundle/run"
logs="${1:-.}"
mkdir -p "$logs"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$(mktemp -d)}"
gpus="${2:-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | wc -l)}"
all=$(seq -s, 0 $((gpus - 1)))
status=0

bench() { # name, then options of bench
    local name="$1" started=$SECONDS
    shift
    timeout -k 5 120 "$run" coordinator bench --weights random --model "$bundle/configs/llama-3.1-8b.json" --json "$logs/$name.json" "$@" \
        >"$logs/$name.txt" 2>"$logs/$name.err" || { status=1; echo "$name failed: $(tail -n 1 "$logs/$name.err" | cut -c1-300)"; }
    echo "$name: $((SECONDS - started)) s"
}
bench single --gpus 0 --prompt-tokens 512 --batch 1 --new-tokens 128 --runs 3
bench stream --gpus "$all" --device-map --prompt-tokens 512 --batch 1 --new-tokens 128 --runs 3
bench prefill --gpus "$all" --device-map --compare unpipelined --prompt-tokens 2048 --batch 8 --new-tokens 1 --runs 5
# As many layers on every GPU: what prompts like best. fit counts bytes of weights, which decoding reads: embedding and head weigh 2 layers each.
even=$(awk -v n="$gpus" 'BEGIN { printf "{\"model.embed_tokens\":0,\"model.rotary_emb\":0,\"model.norm\":%d,\"lm_head\":%d", n - 1, n - 1
    for (i = 0; i < 32; i++) printf ",\"model.layers.%d\":%d", i, int(i * n / 32); print "}" }')
bench prefill-even --gpus "$all" --device-map "$even" --compare unpipelined --prompt-tokens 2048 --batch 8 --new-tokens 1 --runs 5
bench decode --gpus "$all" --device-map --compare unpipelined --prompt-tokens 1024 --batch 256 --new-tokens 48 --runs 2
for file in single stream prefill prefill-even decode; do
    [ -s "$logs/$file.txt" ] && { echo "== $file"; grep -v -E "^(processes?|driver|context|device|collective|kernels|model|coordinator) +[0-9]" "$logs/$file.txt" | cut -c1-170; }
done
exit $status
