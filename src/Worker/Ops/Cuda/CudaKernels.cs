using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Every kernel and every variant that can be asked for: one method a source file. <see cref="All"/> is what the compile test
/// compiles.
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
        new("embedding.cu", "embedding", $"T={CudaElement.Name(output)} W={CudaElement.Name(table)}");

    public static CudaKernel RmsNorm(string entry, DType activation, DType weight) =>
        new("rms_norm.cu", entry, $"T={CudaElement.Name(activation)} W={CudaElement.Name(weight)}");

    public static CudaKernel Elementwise(string entry, DType activation) =>
        new("elementwise.cu", entry, $"T={CudaElement.Name(activation)}");

    /// <summary>
    /// Products of 1 to 16 rows; <paramref name="wideTile"/>: 32 weight rows a block instead of 16; <paramref name="gated"/>: the
    /// activation follows.
    /// </summary>
    public static CudaKernel Gemv(DType input, DType output, bool wideTile, bool manyRows, bool gated) => new(
        "gemv.cu", "gemv",
        $"T={CudaElement.Name(input)} OUT={CudaElement.Name(output)} MT={(wideTile ? 2 : 1)} NT={(manyRows ? 2 : 1)} {Gated(gated)}");

    /// <summary>Products of up to <paramref name="shape"/>'s rows on Hopper.</summary>
    public static CudaKernel GemmStream(DType input, DType output, StreamShape shape, bool gated) => new(
        "gemm_stream.cu", "gemm_stream",
        $"T={CudaElement.Name(input)} OUT={CudaElement.Name(output)} ROWS={shape.Rows} STAGES={shape.Stages} {Gated(gated)}");

    /// <summary>Products of 1 or 2 rows; <paramref name="weightRows"/> of a block: 2, 4 or 8.</summary>
    public static CudaKernel GemvFew(DType input, DType output, int rows, int weightRows, bool gated) => new(
        "gemv_few.cu", "gemv_few",
        $"T={CudaElement.Name(input)} OUT={CudaElement.Name(output)} NT={rows} ROWS={weightRows} {Gated(gated)}");

    public static CudaKernel GemvAny(DType input, DType weight, DType output) => new(
        "gemv_any.cu", "gemv_any",
        $"T={CudaElement.Name(input)} W={CudaElement.Name(weight)} OUT={CudaElement.Name(output)}");

    public static CudaKernel RopeAndWriteKv(DType activation, DType cache) =>
        new("rope.cu", "rope_and_write_kv", $"T={CudaElement.Name(activation)} KV={CudaElement.Name(cache)}");

    /// <summary>Decode attention; <paramref name="rotates"/>: with rope.cu's work.</summary>
    public static CudaKernel AttentionDecode(DType dtype, int headDim, DecodeShape shape, bool rotates) => new(
        "attention_decode.cu", "attention_decode",
        $"T={CudaElement.Name(dtype)} KV={CudaElement.Name(dtype)} HEAD_DIM={headDim} WARPS={shape.Warps} STAGES={shape.Stages} "
        + $"CLUSTER={(shape.Join == DecodeJoin.Cluster ? 1 : 0)} ROPE={(rotates ? 1 : 0)}",
        shape.Blocks > 1 ? "several a multiprocessor" : "");

    public static CudaKernel AttentionAny(DType activation, DType cache, int headDim) => new(
        "attention_any.cu", "attention_any",
        $"T={CudaElement.Name(activation)} KV={CudaElement.Name(cache)} HEAD_DIM={headDim}");

    /// <summary>Sum over so many ranks.</summary>
    public static CudaKernel PeerSum(DType dtype, int ranks) =>
        new("peer_sum.cu", "peer_sum", $"T={CudaElement.Name(dtype)} RANKS={ranks}");

    /// <summary>Sum over ranks, residual and norm; <paramref name="kept"/>: eights of a row that a thread keeps, 1 or 2.</summary>
    public static CudaKernel PeerSumNorm(DType activation, DType weight, int ranks, int kept) => new(
        "peer_sum_norm.cu", "peer_sum_norm",
        $"T={CudaElement.Name(activation)} W={CudaElement.Name(weight)} RANKS={ranks} KEPT={kept}");

    /// <summary>As <see cref="PeerSumNorm"/> for many rows, which the ranks divide.</summary>
    public static CudaKernel PeerRows(DType activation, DType weight, int ranks, int kept) => new(
        "peer_rows.cu", "peer_rows",
        $"T={CudaElement.Name(activation)} W={CudaElement.Name(weight)} RANKS={ranks} KEPT={kept}");

    /// <summary>Gather of small parts of so many ranks.</summary>
    public static CudaKernel PeerGather(int ranks) => new("peer_gather.cu", "peer_gather", $"RANKS={ranks}");

    /// <summary>A small message from one rank of so many to another.</summary>
    public static CudaKernel PeerPost(int ranks) => new("peer_post.cu", "peer_post", $"RANKS={ranks}");

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
}
