using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Every kernel and every variant that can be asked for: one method a source file. <see cref="All"/> is what the compile test
/// compiles. Variants are known by what tells them apart: their defines are written once and not at each of the 300 launches of a step.
/// </summary>
internal static class CudaKernels
{
    /// <summary>
    /// Head sizes of <see cref="All"/>: the tuned ones, the smallest, and one each that is a multiple of 8 and of 16 alone; any multiple of 8 up
    /// to 256 works.
    /// </summary>
    private static readonly int[] s_headDims = [8, 64, 72, 80, 96, 128, 192, 256];

    /// <summary>Dtypes that tensor-core kernels take.</summary>
    private static readonly DType[] s_halves = [DType.BF16, DType.F16];

    public static CudaKernel TokenIds { get; } = new("token_ids.cu", "token_ids", string.Empty);

    public static CudaKernel Embedding(DType output, DType table) =>
        Known((output, table), v => new("embedding.cu", "embedding", $"T={CudaElement.Name(v.output)} W={CudaElement.Name(v.table)}"));

    public static CudaKernel RmsNorm(string entry, DType activation, DType weight) =>
        Known((entry, activation, weight), v => new(
            "rms_norm.cu", v.entry, $"T={CudaElement.Name(v.activation)} W={CudaElement.Name(v.weight)}"));

    public static CudaKernel Elementwise(string entry, DType activation) =>
        Known((entry, activation), v => new("elementwise.cu", v.entry, $"T={CudaElement.Name(v.activation)}"));

    /// <summary>
    /// Products of 1 to 16 rows; <paramref name="wideTile"/>: 32 weight rows a block instead of 16; <paramref name="gated"/>: the
    /// activation follows.
    /// </summary>
    public static CudaKernel Gemv(DType input, DType output, bool wideTile, bool manyRows, bool gated) =>
        Known((input, output, wideTile, manyRows, gated), v => new(
            "gemv.cu", "gemv",
            $"T={CudaElement.Name(v.input)} OUT={CudaElement.Name(v.output)} MT={(v.wideTile ? 2 : 1)} NT={(v.manyRows ? 2 : 1)} {Gated(v.gated)}"));

    /// <summary>Products of up to <paramref name="shape"/>'s rows on Hopper.</summary>
    public static CudaKernel GemmStream(DType input, DType output, StreamShape shape, bool gated) =>
        Known((input, output, shape.Rows, shape.Stages, gated), v => new(
            "gemm_stream.cu", "gemm_stream",
            $"T={CudaElement.Name(v.input)} OUT={CudaElement.Name(v.output)} ROWS={v.Rows} STAGES={v.Stages} {Gated(v.gated)}"));

    /// <summary>Products of 1 or 2 rows; <paramref name="weightRows"/> of a block: 2, 4 or 8.</summary>
    public static CudaKernel GemvFew(DType input, DType output, int rows, int weightRows, bool gated) =>
        Known((input, output, rows, weightRows, gated), v => new(
            "gemv_few.cu", "gemv_few",
            $"T={CudaElement.Name(v.input)} OUT={CudaElement.Name(v.output)} NT={v.rows} ROWS={v.weightRows} {Gated(v.gated)}"));

    public static CudaKernel GemvAny(DType input, DType weight, DType output) =>
        Known((input, weight, output), v => new(
            "gemv_any.cu", "gemv_any",
            $"T={CudaElement.Name(v.input)} W={CudaElement.Name(v.weight)} OUT={CudaElement.Name(v.output)}"));

    public static CudaKernel RopeAndWriteKv(DType activation, DType cache) =>
        Known((activation, cache), v => new(
            "rope.cu", "rope_and_write_kv", $"T={CudaElement.Name(v.activation)} KV={CudaElement.Name(v.cache)}"));

    /// <summary>Decode attention; <paramref name="rotates"/>: with rope.cu's work.</summary>
    public static CudaKernel AttentionDecode(DType dtype, int headDim, DecodeShape shape, bool rotates) =>
        Known((dtype, headDim, shape.Warps, shape.Stages, shape.Join, isFull: shape.Blocks > 1, rotates), v => new(
            "attention_decode.cu", "attention_decode",
            $"T={CudaElement.Name(v.dtype)} KV={CudaElement.Name(v.dtype)} HEAD_DIM={v.headDim} WARPS={v.Warps} STAGES={v.Stages} "
            + $"CLUSTER={(v.Join == DecodeJoin.Cluster ? 1 : 0)} ROPE={(v.rotates ? 1 : 0)}",
            v.isFull ? "several a multiprocessor" : ""));

    public static CudaKernel AttentionAny(DType activation, DType cache, int headDim) =>
        Known((activation, cache, headDim), v => new(
            "attention_any.cu", "attention_any",
            $"T={CudaElement.Name(v.activation)} KV={CudaElement.Name(v.cache)} HEAD_DIM={v.headDim}"));

    /// <summary>Sum over so many ranks.</summary>
    public static CudaKernel PeerSum(DType dtype, int ranks) =>
        Known((dtype, ranks), v => new("peer_sum.cu", "peer_sum", $"T={CudaElement.Name(v.dtype)} RANKS={v.ranks}"));

    /// <summary>Sum over ranks, residual and norm; <paramref name="kept"/>: eights of a row that a thread keeps, 1 or 2.</summary>
    public static CudaKernel PeerSumNorm(DType activation, DType weight, int ranks, int kept) =>
        Known((activation, weight, ranks, kept), v => new(
            "peer_sum_norm.cu", "peer_sum_norm",
            $"T={CudaElement.Name(v.activation)} W={CudaElement.Name(v.weight)} RANKS={v.ranks} KEPT={v.kept}"));

    /// <summary>As <see cref="PeerSumNorm"/> for many rows, which the ranks divide.</summary>
    public static CudaKernel PeerRows(DType activation, DType weight, int ranks, int kept) =>
        Known((activation, weight, ranks, kept), v => new(
            "peer_rows.cu", "peer_rows",
            $"T={CudaElement.Name(v.activation)} W={CudaElement.Name(v.weight)} RANKS={v.ranks} KEPT={v.kept}"));

    /// <summary>Gather of small parts of so many ranks.</summary>
    public static CudaKernel PeerGather(int ranks) => Known(ranks, v => new("peer_gather.cu", "peer_gather", $"RANKS={v}"));

    /// <summary>A small message from one rank of so many to another.</summary>
    public static CudaKernel PeerPost(int ranks) => Known(ranks, v => new("peer_post.cu", "peer_post", $"RANKS={v}"));

    /// <summary>Weights made on the device.</summary>
    public static CudaKernel RandomFill(DType target) => new("random_fill.cu", "random_fill", $"T={CudaElement.Name(target)}");

    /// <summary>The plain reading rate of the memory.</summary>
    public static CudaKernel ReadSum() => new("read_sum.cu", "read_sum", "");

    /// <summary>A pause of the stream.</summary>
    public static CudaKernel Hold() => new("hold.cu", "hold", "");

    /// <summary>First step of a summary; <paramref name="joins"/>: the only one.</summary>
    public static CudaKernel SamplingScan(bool joins) => new("sampling_scan.cu", "sampling_scan", $"JOINS={(joins ? 1 : 0)}");

    public static CudaKernel SamplingJoin() => new("sampling_join.cu", "sampling_join", string.Empty);

    public static CudaKernel SamplingChoose() => new("sampling_choose.cu", "sampling_choose", string.Empty);

    public static CudaKernel SamplingWhole() => new("sampling_whole.cu", "sampling_whole", string.Empty);

    public static CudaKernel SamplingRows(string entry) => new("sampling_rows.cu", entry, string.Empty);

    /// <summary>What a model of one dtype and these head sizes, listed in <see cref="All"/> or not, can ask for; results may be f32.</summary>
    public static IEnumerable<CudaKernel> Of(
        DType dtype, IReadOnlyCollection<int> headDims, int capability, int sharedMemoryBytes)
    {
        var types = CudaElement.All.Select(CudaElement.Name).ToArray();
        var own = CudaElement.Name(dtype);
        int[] tuned = [.. headDims.Where(size => size % 8 == 0 && size is > 0 and <= 256)];
        return OfOneDevice(capability, sharedMemoryBytes, tuned).Concat(OfGroups()).Where(kernel => kernel.Defines.Split(' ').Select(d => d.Split('=')).All(define =>
            define is ["HEAD_DIM", var size]
                ? headDims.Contains(int.Parse(size, System.Globalization.CultureInfo.InvariantCulture))
                : !types.Contains(define[^1]) || define[^1] == own || define is ["OUT", "f32"]));
    }

    /// <summary>Whether it works between GPUs: a group asks for those of its size when it is joined.</summary>
    public static bool IsOfGroup(CudaKernel kernel) => kernel.Defines.Contains("RANKS=", StringComparison.Ordinal);

    /// <summary>All variants for a device of this compute capability (90: 9.0) and with this much shared memory a block.</summary>
    public static IEnumerable<CudaKernel> All(int capability, int sharedMemoryBytes) =>
        [.. OfOneDevice(capability, sharedMemoryBytes, s_headDims), .. OfGroups()];

    // Between GPUs: two ranks, some odd number, and the most.
    private static IEnumerable<CudaKernel> OfGroups()
    {
        foreach (var ranks in (int[])[2, 3, 4, 8])
        {
            yield return PeerGather(ranks);
            yield return PeerPost(ranks);
            foreach (var t in CudaElement.All)
            {
                yield return PeerSum(t, ranks);
                yield return PeerSumNorm(t, t, ranks, 1);
            }

            yield return PeerSumNorm(DType.BF16, DType.F32, ranks, 1);
            yield return PeerRows(DType.BF16, DType.BF16, ranks, 1);
            if (ranks <= 4)
            {
                yield return PeerRows(DType.BF16, DType.BF16, ranks, 2);
            }

            yield return PeerRows(DType.F16, DType.F32, ranks, 1);
            yield return PeerSumNorm(DType.BF16, DType.BF16, ranks, 2);
        }
    }

    private static IEnumerable<CudaKernel> OfOneDevice(int capability, int sharedMemoryBytes, int[] headDims)
    {
        yield return TokenIds;
        yield return ReadSum();
        yield return Hold();
        foreach (var kernel in (CudaKernel[])
            [SamplingScan(true), SamplingScan(false), SamplingJoin(), SamplingChoose(), SamplingWhole(), SamplingRows("commit_tokens")])
        {
            yield return kernel;
        }

        foreach (var t in CudaElement.All)
        {
            yield return RandomFill(t);
            foreach (var entry in (string[])["add", "gated_activation", "gather_rows", "add_bias", "round_with_bias"])
            {
                yield return Elementwise(entry, t);
            }

            foreach (var w in CudaElement.All)
            {
                yield return Embedding(t, w);
                yield return RmsNorm("rms_norm", t, w);
                yield return RopeAndWriteKv(t, w);
                yield return GemvAny(t, w, t);
                yield return GemvAny(t, w, DType.F32);
                yield return AttentionAny(t, w, 6);
                yield return AttentionAny(t, w, 256);
            }
        }

        foreach (var t in s_halves)
        {
            foreach (var (wide, many) in ((bool, bool)[])[(false, false), (false, true), (true, false), (true, true)])
            {
                yield return Gemv(t, t, wide, many, gated: false);
                yield return Gemv(t, t, wide, many, gated: true);
                yield return Gemv(t, DType.F32, wide, many, gated: false);
            }

            foreach (var (rows, weightRows) in ((int, int)[])[(1, 2), (1, 4), (1, 8), (2, 2), (2, 4), (2, 8)])
            {
                yield return GemvFew(t, t, rows, weightRows, gated: false);
                yield return GemvFew(t, t, rows, weightRows, gated: true);
                yield return GemvFew(t, DType.F32, rows, weightRows, gated: false);
            }

            foreach (var shape in StreamShape.Takes(1, capability) ? StreamShape.All() : [])
            {
                yield return GemmStream(t, t, shape, gated: false);
                yield return GemmStream(t, t, shape, gated: true);
                yield return GemmStream(t, DType.F32, shape, gated: false);
            }

            foreach (var headDim in headDims)
            {
                foreach (var shape in DecodeShape.All(headDim, capability, sharedMemoryBytes))
                {
                    yield return AttentionDecode(t, headDim, shape, rotates: false);
                    if (DecodeShape.CanRotate(headDim))
                    {
                        yield return AttentionDecode(t, headDim, shape, rotates: true);
                    }
                }

                foreach (var method in Enum.GetValues<PrefillMethod>())
                {
                    yield return PrefillShape.For(headDim, capability, sharedMemoryBytes, method).Kernel(t);
                }
            }
        }
    }

    private static string Gated(bool gated) => $"GATED={(gated ? 1 : 0)}";

    private static CudaKernel Known<TVariant>(TVariant variant, Func<TVariant, CudaKernel> name, [CallerMemberName] string method = "")
        where TVariant : struct
    {
        if (!Names<TVariant>.Known.TryGetValue((method, variant), out var kernel))
        {
            Names<TVariant>.Known[(method, variant)] = kernel = name(variant);
        }

        return kernel;
    }

    private static class Names<TVariant>
        where TVariant : struct
    {
        public static readonly ConcurrentDictionary<(string Method, TVariant Variant), CudaKernel> Known = new();
    }
}
