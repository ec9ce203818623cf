#!/usr/bin/env python3
"""Hugging Face transformers on a model's shape: one GPU, tensor parallel (tp_plan="auto"), sequential (device_map="auto").

  hf_bench.py make  --config CONFIG.json --dir DIR    a checkpoint of random bf16 weights, made on the GPU, std 0.02, norms 1
  hf_bench.py bench --dir DIR --mode single|tp|devmap|offload [--max-memory 0=8GiB,cpu=100GiB] [--cases 512x128x1,512x128x16] [--reps 3]
                    (tp: under python3 -m torch.distributed.run --nproc-per-node N; offload: device_map="auto" with --max-memory, the
                    rest on the CPU through accelerate's hooks)

Each result is one JSON line on standard output (rank 0 only) and, with --jsonl FILE, in that file too. Prefill is the time until
generate() has the first logits; decoding is the time from there to the last logits, by events on the stream.
"""
import argparse
import inspect
import json
import os
import sys
import threading
import time
import traceback
import zlib
from concurrent.futures import ThreadPoolExecutor

# NVLink multicast can put a shared host's GPUs out of service.
os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
os.environ.setdefault("TORCH_SYMM_MEM_DISABLE_MULTICAST", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch  # noqa: E402

GIB = float(1 << 30)


def llama_tensors(cfg):
    """(name, shape, kind) in file order; kind 'n' normal weights, '1' ones."""
    h, v, i = cfg["hidden_size"], cfg["vocab_size"], cfg["intermediate_size"]
    q, kv = cfg["num_attention_heads"] * cfg["head_dim"], cfg["num_key_value_heads"] * cfg["head_dim"]
    yield "model.embed_tokens.weight", (v, h), "n"
    for n in range(cfg["num_hidden_layers"]):
        b = f"model.layers.{n}."
        yield b + "input_layernorm.weight", (h,), "1"
        yield b + "mlp.down_proj.weight", (h, i), "n"
        yield b + "mlp.gate_proj.weight", (i, h), "n"
        yield b + "mlp.up_proj.weight", (i, h), "n"
        yield b + "post_attention_layernorm.weight", (h,), "1"
        yield b + "self_attn.k_proj.weight", (kv, h), "n"
        yield b + "self_attn.o_proj.weight", (h, q), "n"
        yield b + "self_attn.q_proj.weight", (q, h), "n"
        yield b + "self_attn.v_proj.weight", (kv, h), "n"
    yield "model.norm.weight", (h,), "1"
    if not cfg["tie_word_embeddings"]:
        yield "lm_head.weight", (v, h), "n"


def numel(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def emit(obj, jsonl=None):
    line = json.dumps(obj)
    print(line, flush=True)
    if jsonl:
        with open(jsonl, "a") as f:
            f.write(line + "\n")


class ShardWriter:
    """Makes random tensors on the device and streams them into one safetensors file (bf16)."""
    STEP = 256 << 20   # bytes a copy/write step
    tls = threading.local()

    def __init__(self, device, std, seed):
        self.device, self.std, self.seed = device, std, seed

    def buffer(self):
        if getattr(self.tls, "buf", None) is None:
            b = torch.empty(self.STEP // 2, dtype=torch.bfloat16)
            if self.device.type == "cuda":
                try:
                    b = torch.empty(self.STEP // 2, dtype=torch.bfloat16, pin_memory=True)
                except RuntimeError:
                    pass
            self.tls.buf = b
        return self.tls.buf

    def fill(self, name, shape, kind):
        if kind == "1":
            return torch.ones(shape, dtype=torch.bfloat16, device=self.device)
        g = torch.Generator(device=self.device)
        g.manual_seed((self.seed << 32) + zlib.crc32(name.encode()))
        return torch.empty(shape, dtype=torch.bfloat16, device=self.device).normal_(0.0, self.std, generator=g)

    def write(self, path, tensors):
        header, off = {"__metadata__": {"format": "pt"}}, 0
        for name, shape, _ in tensors:
            n = numel(shape) * 2
            header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [off, off + n]}
            off += n
        h = json.dumps(header, separators=(",", ":")).encode()
        h += b" " * (-len(h) % 8)
        buf = self.buffer()
        np_buf = buf.view(torch.uint8).numpy()
        with open(path, "wb", buffering=0) as f:
            f.write(len(h).to_bytes(8, "little") + h)
            for name, shape, kind in tensors:
                t = self.fill(name, shape, kind).view(-1)
                for a in range(0, t.numel(), buf.numel()):
                    n = min(buf.numel(), t.numel() - a)
                    buf[:n].copy_(t[a:a + n])          # blocks: the copy is done when it returns
                    view = memoryview(np_buf)[: n * 2]
                    while len(view):
                        view = view[f.write(view):]
                del t
        return off


def make(a):
    with open(a.config) as f:
        cfg = json.load(f)
    device = torch.device(a.device if a.device != "cuda" or torch.cuda.is_available() else "cpu")
    os.makedirs(a.dir, exist_ok=True)
    t0 = time.perf_counter()
    shards, cur, size, limit = [], [], 0, int(a.shard_gb * 1e9)
    for t in llama_tensors(cfg):
        n = numel(t[1]) * 2
        if cur and size + n > limit:
            shards.append(cur)
            cur, size = [], 0
        cur.append(t)
        size += n
    shards.append(cur)
    n = len(shards)
    names = ["model.safetensors"] if n == 1 else [f"model-{i + 1:05d}-of-{n:05d}.safetensors" for i in range(n)]
    done = os.path.join(a.dir, "DONE")
    if os.path.exists(done):
        with open(done) as f:
            if f.read() == json.dumps([cfg, a.seed, a.std, names]):
                emit({"what": "make", "dir": a.dir, "reused": True}, a.jsonl)
                return
        os.remove(done)
    w = ShardWriter(device, a.std, a.seed)
    with ThreadPoolExecutor(max(1, min(a.threads, n))) as pool:
        total = sum(pool.map(lambda p: w.write(os.path.join(a.dir, p[0]), p[1]), zip(names, shards)))
    if n > 1:
        index = {"metadata": {"total_size": total}, "weight_map": {t[0]: nm for nm, s in zip(names, shards) for t in s}}
        with open(os.path.join(a.dir, "model.safetensors.index.json"), "w") as f:
            json.dump(index, f, indent=2)
    with open(os.path.join(a.dir, "config.json"), "w") as f:
        json.dump(cfg, f, indent=2)
    with open(os.path.join(a.dir, "generation_config.json"), "w") as f:
        json.dump({"_from_model_config": True, "bos_token_id": cfg["bos_token_id"], "do_sample": False,
                   "eos_token_id": cfg["eos_token_id"]}, f, indent=2)
    with open(done, "w") as f:
        f.write(json.dumps([cfg, a.seed, a.std, names]))
    dt = time.perf_counter() - t0
    emit({"what": "make", "layers": cfg["num_hidden_layers"], "dir": a.dir, "shards": n, "gb": total / 1e9, "make_s": dt}, a.jsonl)


def dist_info():
    return int(os.environ.get("RANK", 0)), int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


DEVS = []      # the GPUs that this process uses: touching another one would make a context on it


def sync_all():
    for d in DEVS:
        torch.cuda.synchronize(d)


class Marks:
    """A logits processor that only records a time stamp each time generate() has new logits: no extra synchronisation."""

    def __init__(self):
        from transformers import LogitsProcessor

        outer = self
        outer.cuda = torch.cuda.is_available()
        outer.marks = []

        class P(LogitsProcessor):
            def __call__(self, input_ids, scores):
                outer.mark()
                return scores

        self.proc = P()

    def mark(self):
        if self.cuda:
            e = torch.cuda.Event(enable_timing=True)
            e.record()
            self.marks.append(e)
        else:
            self.marks.append(time.perf_counter())

    def ms(self, i, j):
        if self.cuda:
            return self.marks[i].elapsed_time(self.marks[j])
        return (self.marks[j] - self.marks[i]) * 1e3


def median(x):
    s = sorted(x)
    return (s[(len(s) - 1) // 2] + s[len(s) // 2]) / 2


def load_model(a, rank, local, world):
    import transformers
    from transformers import AutoModelForCausalLM

    kw = dict(dtype=getattr(torch, a.dtype), attn_implementation=a.attn)
    cuda = torch.cuda.is_available()
    if a.mode == "single":
        if cuda:
            kw["device_map"] = {"": 0}
        return AutoModelForCausalLM.from_pretrained(a.dir, **kw), "device_map={'':0}"
    if a.mode == "offload":
        places = dict(entry.split("=", 1) for entry in a.max_memory.split(","))
        memory = {int(k) if k.isdigit() else k: v for k, v in places.items()}
        return AutoModelForCausalLM.from_pretrained(a.dir, device_map="auto", max_memory=memory, **kw), f"device_map=auto, {a.max_memory}"
    if a.mode == "devmap":
        return AutoModelForCausalLM.from_pretrained(a.dir, device_map="auto", **kw), "device_map=auto"
    # tensor parallel. Up to about 5.15 the words are tp_plan="auto"; the sources of 5.16 replaced them by
    # distributed_config=DistributedConfig(tp_size=N). Ask the installed version which it takes.
    src = inspect.getsource(transformers.modeling_utils.PreTrainedModel.from_pretrained)
    styles = ["tp_plan", "distributed_config"]
    if 'kwargs.pop("tp_plan"' not in src:
        styles.reverse()
    last = None
    for style in styles:
        try:
            if style == "tp_plan":
                m = AutoModelForCausalLM.from_pretrained(a.dir, tp_plan="auto", **kw)
            else:
                from transformers.distributed import DistributedConfig
                m = AutoModelForCausalLM.from_pretrained(
                    a.dir, distributed_config=DistributedConfig(tp_size=world), **kw)
            return m, style
        except (TypeError, ValueError, ImportError) as e:
            last = e
            if rank == 0:
                print(f"# {style} refused: {type(e).__name__}: {str(e)[:200]}", file=sys.stderr, flush=True)
    raise last


def one(model, ids, new):
    """One greedy generate(); returns (prefill ms, decode ms, wall s, output ids)."""
    from transformers import LogitsProcessorList

    m = Marks()
    kw = dict(max_new_tokens=new, min_new_tokens=new, do_sample=False, num_beams=1, use_cache=True,
              logits_processor=LogitsProcessorList([m.proc]), attention_mask=torch.ones_like(ids), pad_token_id=0)
    kw["disable_compile"] = True
    sync_all()
    t0 = time.perf_counter()
    m.mark()
    out = model.generate(ids, **kw)
    sync_all()
    wall = time.perf_counter() - t0
    assert out.shape[1] == ids.shape[1] + new, out.shape
    assert len(m.marks) == new + 1, (len(m.marks), new)
    return m.ms(0, 1), (m.ms(1, new) if new > 1 else 0.0), wall, out[:, ids.shape[1]:]


def bench(a):
    rank, local, world = dist_info()
    cuda = torch.cuda.is_available()
    base = {"what": "hf", "mode": a.mode, "model": os.path.basename(a.dir.rstrip("/")),
            "gpus": world if a.mode == "tp" else (1 if a.mode in ("single", "offload") else max(1, torch.cuda.device_count()))}
    try:
        import transformers
        from transformers.utils import logging as hflog
        hflog.set_verbosity_error()
        if hasattr(hflog, "disable_progress_bar"):
            hflog.disable_progress_bar()
        dist = None
        if cuda:
            DEVS.extend([local] if a.mode == "tp" else [0] if a.mode in ("single", "offload") else range(torch.cuda.device_count()))
        if a.mode == "tp":
            import torch.distributed as dist
            if cuda:
                torch.cuda.set_device(local)
                dist.init_process_group("nccl", device_id=torch.device("cuda", local))
                t = torch.ones(1, device="cuda")
                dist.all_reduce(t)
                torch.cuda.synchronize()
            else:
                dist.init_process_group("gloo")
        if cuda:
            torch.cuda.init()
            torch.zeros(1, device="cuda")
        t0 = time.perf_counter()
        model, how = load_model(a, rank, local, world)
        model.eval()
        sync_all()
        if dist:
            dist.barrier()
        load_s = time.perf_counter() - t0
        if cuda:
            mem_w = [torch.cuda.memory_allocated(d) / GIB for d in DEVS]
        base.update(transformers=transformers.__version__, torch=torch.__version__, how=how, load_s=round(load_s, 2))
        dev = torch.device("cuda", 0) if a.mode == "offload" and cuda else model.device if a.mode != "tp" else torch.device("cuda", local) if cuda else torch.device("cpu")
        vocab = model.config.vocab_size
        for case in a.cases.split(","):
            p, t, b = (int(x) for x in case.split("x"))
            res = dict(base, prompt=p, new=t, batch=b)
            try:
                if cuda:
                    for d in DEVS:
                        torch.cuda.reset_peak_memory_stats(d)
                g = torch.Generator().manual_seed(1234)
                ids = torch.randint(2, vocab, (b, p), generator=g).to(dev)
                w0 = time.perf_counter()
                for _ in range(a.warmup):
                    one(model, ids, min(t, 16))
                warm_s = time.perf_counter() - w0
                runs = [one(model, ids, t) for _ in range(a.reps)]
                pre, dec, wall = (median([r[i] for r in runs]) for i in range(3))
                out = runs[-1][3].cpu()
                res.update(prefill_ms=round(pre, 3), prefill_tok_s=round(b * p / pre * 1e3, 1),
                           decode_ms_tok=round(dec / max(1, t - 1), 4), decode_tok_s=round(b * (t - 1) / dec * 1e3, 2) if t > 1 else None,
                           e2e_s=round(wall, 4), e2e_tok_s=round(b * t / wall, 2), reps=a.reps,
                           decode_ms_all=[round(r[1], 1) for r in runs], warm_s=round(warm_s, 1),
                           ids=out[0, :8].tolist(), ids_crc=zlib.crc32(out.numpy().tobytes()))
                if cuda:
                    if a.mode == "tp":
                        v = torch.tensor([mem_w[0], torch.cuda.max_memory_allocated(local) / GIB,
                                          torch.cuda.max_memory_reserved(local) / GIB], device=dev)
                        vs = [torch.empty_like(v) for _ in range(world)]
                        dist.all_gather(vs, v)
                        vs = [x.tolist() for x in vs]
                    else:
                        vs = [[m, torch.cuda.max_memory_allocated(d) / GIB, torch.cuda.max_memory_reserved(d) / GIB]
                              for d, m in zip(DEVS, mem_w)]
                    for i, k in enumerate(("mem_weights_gib", "mem_peak_gib", "mem_reserved_gib")):
                        res[k] = [round(x[i], 2) for x in vs]
            except Exception as e:   # noqa: BLE001  a case that fails is a result too
                traceback.print_exc()
                res["error"] = f"{type(e).__name__}: {str(e)[:300]}"
            if rank == 0:
                emit(res, a.jsonl)
            if "error" in res and a.mode == "tp":
                break    # ranks may no longer agree
        if dist:
            dist.destroy_process_group()
    except Exception as e:   # noqa: BLE001
        traceback.print_exc()
        if rank == 0:
            emit(dict(base, error=f"{type(e).__name__}: {str(e)[:300]}"), a.jsonl)
        sys.stdout.flush()
        os._exit(3)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    s = p.add_subparsers(dest="cmd", required=True)
    m = s.add_parser("make")
    m.add_argument("--config", required=True)
    m.add_argument("--dir", required=True)
    m.add_argument("--std", type=float, default=0.02)
    m.add_argument("--seed", type=int, default=0)
    m.add_argument("--threads", type=int, default=6)
    m.add_argument("--shard-gb", type=float, default=3.0)
    m.add_argument("--device", default="cuda")
    b = s.add_parser("bench")
    b.add_argument("--dir", required=True)
    b.add_argument("--mode", choices=["single", "tp", "devmap", "offload"], default="single")
    b.add_argument("--max-memory", default="0=8GiB,cpu=100GiB", help="places and bytes, for --mode offload")
    b.add_argument("--attn", default="sdpa")
    b.add_argument("--dtype", default="bfloat16")
    b.add_argument("--cases", default="512x128x1", help="PROMPTxNEWxBATCH, comma separated")
    b.add_argument("--reps", type=int, default=3)
    b.add_argument("--warmup", type=int, default=1)
    for x in (m, b):
        x.add_argument("--jsonl", default=None)
    a = p.parse_args()
    {"make": make, "bench": bench}[a.cmd](a)


if __name__ == "__main__":
    main()
