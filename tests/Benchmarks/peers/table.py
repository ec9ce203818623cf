#!/usr/bin/env python3
"""One table of our figures and transformers', cell by cell.

  table.py [--markdown] FILE...     files of `coordinator bench --json FILE` (.json) and of run_hf.sh (.jsonl)
"""
import json
import sys

WORDS = {"single": "plain", "tp": "tensor parallel", "devmap": "device map",
         "tensor_parallel": "tensor parallel", "device_map": "device map"}


def ours(path):
    with open(path) as f:
        report = json.load(f)
    for mode in report["modes"]:
        for cell in mode["cells"]:
            name = "plain" if mode["world_size"] == 1 else WORDS[mode["mode"]]
            yield {"who": "this", "mode": name, "gpus": mode["world_size"], "prompt": cell["prompt_tokens"],
                   "new": cell["new_tokens"], "batch": cell["batch"], "first": cell["ttft_ms"],
                   "rate": cell.get("tokens_per_second"), "memory": cell.get("memory_utilisation")}


def theirs(path):
    with open(path) as f:
        rows = [json.loads(line) for line in f if line.startswith("{")]
    for r in rows:
        if "prefill_ms" in r:
            yield {"who": "transformers", "mode": WORDS[r["mode"]], "gpus": r["gpus"], "prompt": r["prompt"], "new": r["new"],
                   "batch": r["batch"], "first": r["prefill_ms"], "rate": r["decode_tok_s"], "memory": None}
        elif "error" in r:
            print(f"transformers, {r.get('mode')} on {r.get('gpus')}: {r['error'][:160]}")


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def main():
    args = sys.argv[1:]
    markdown = "--markdown" in args
    rows = []
    for path in (a for a in args if a != "--markdown"):
        try:
            rows += theirs(path) if path.endswith(".jsonl") else ours(path)
        except OSError as e:
            print(f"{path}: {e.strerror}")
    cells = {}
    for r in rows:
        # Prefill does not depend on the number of new tokens: a row of theirs with few serves where ours has many.
        cells.setdefault((r["batch"], r["prompt"], r["gpus"], r["mode"]), {})[r["who"]] = r
    table = [["batch", "prompt", "GPUs", "mode", "first ms", "transformers", "ratio", "tok/s", "transformers", "ratio", "memory"]]
    for (batch, prompt, gpus, mode), both in sorted(cells.items(), key=lambda c: c[0]):
        a, b = both.get("this", {}), both.get("transformers", {})
        same = a.get("new") == b.get("new") and (b.get("new") or 0) > 1
        first, rate = (a.get("first"), b.get("first")), (a.get("rate"), b.get("rate") if same or not a else None)
        table.append([
            str(batch), str(prompt), str(gpus), mode,
            number(first[0], 1), number(first[1], 1), f"{first[1] / first[0]:.1f}x" if all(first) else "-",
            number(rate[0], 1), number(rate[1], 1), f"{rate[0] / rate[1]:.1f}x" if all(rate) else "-",
            "-" if a.get("memory") is None else f"{a['memory']:.0%}"])
    if markdown:
        table.insert(1, ["---"] * len(table[0]))
        for row in table:
            print("| " + " | ".join(row) + " |")
        return
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join(c.ljust(w) if i == 3 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip())


main()
