using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>The conformance cases with activations and cache of one 2-byte dtype, rows aligned: the tensor-core kernels.</summary>
public abstract class TensorCoreConformance : OpsConformance
{
    private static readonly (PrefillMethod Method, PrefillSpread Spread)[] s_prefills =
    [
        (PrefillMethod.Mma, PrefillSpread.Together), (PrefillMethod.Wgmma, PrefillSpread.Together),
        (PrefillMethod.Wgmma, PrefillSpread.Mirrored), (PrefillMethod.Wgmma, PrefillSpread.Apart),
    ];

    private readonly CudaOps _ops;

    private protected TensorCoreConformance(ITestOutputHelper output, CudaDevice device, CudaOps ops)
        : base(output, device, ops) => _ops = ops;

    protected override int NextPadding() => 8 * Random.Next(0, 3);

    protected override DType CacheDTypeFor(DType wanted) => Activation;

    [Theory]
    [InlineData(8)]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(72)]
    [InlineData(96)]
    [InlineData(112)]
    [InlineData(128)]
    [InlineData(136)]
    [InlineData(192)]
    [InlineData(256)]
    public void Every_size_of_head_works_alone_and_mixed(int headDim)
    {
        var heads = new HeadLayout(0, 8, 0, 2, 4, headDim);
        Attend(new PagedCase(heads, Activation, 16, (Random.Next(0, 300), 1)));
        Attend(new PagedCase(heads, Activation, 16, (Random.Next(0, 90), Random.Next(2, 70)), (33, 1), (0, 45)));
    }

    [Fact]
    public void Long_contexts_are_cut_into_parts()
    {
        Attend(new PagedCase(new HeadLayout(0, 8, 0, 2, 4, 64), Activation, 16, (4000, 1)));
        Attend(new PagedCase(new HeadLayout(0, 8, 0, 2, 4, 128), Activation, 32, (1500, 1), (7, 1), (2047, 1)));
        Attend(new PagedCase(new HeadLayout(0, 20, 0, 1, 20, 64), Activation, 16, (900, 1)));
        Attend(
            new PagedCase(new HeadLayout(6, 6, 1, 2, 4, 32), Activation, 16, (1200, 1)), new AttentionOptions(0.2f, 700, 20f));
        Attend(new PagedCase(new HeadLayout(0, 8, 0, 2, 4, 128), Activation, 16, (700, 150), (0, 200)));
    }

    /// <summary>Decode by each way that parts join: parts without tokens, rings that go round, rows that only fill up, windows, caps.</summary>
    [Theory]
    [InlineData(8)]
    [InlineData(64)]
    [InlineData(80)]
    [InlineData(128)]
    [InlineData(256)]
    public void Decode_matches_by_every_join(int headDim)
    {
        foreach (var (join, blocks) in ((DecodeJoin, int)[])[(DecodeJoin.Memory, 1), (DecodeJoin.Memory, 2), (DecodeJoin.Cluster, 1)])
        {
            (_ops.DecodeJoin, _ops.DecodeBlocksEach) = (join, blocks);
            var heads = new HeadLayout(0, 8, 0, 2, 4, headDim);
            var scale = 1 / MathF.Sqrt(headDim);
            foreach (var past in (int[])[0, 15, 16, 127, 128, Random.Next(200, 1100)])
            {
                Attend(new PagedCase(heads, Activation, 16, (past, 1)));
                Attend(new PagedCase(heads, Activation, 16, (past, 1), (-1, 1), (3, 1)), context: 2048);
            }

            Attend(new PagedCase(heads, Activation, 7, (Random.Next(3200, 4300), 1)));
            Attend(new PagedCase(new HeadLayout(0, 20, 0, 1, 20, headDim), Activation, 16, (400, 1), (77, 1)));
            Attend(new PagedCase(new HeadLayout(0, 3, 0, 3, 1, headDim), Activation, 16, (90, 1), (4, 9), (200, 1)));
            Attend(new PagedCase(heads, Activation, 16, (900, 1), (20, 1)), new AttentionOptions(scale, 130, 5f), context: 1024);
        }

        (_ops.DecodeJoin, _ops.DecodeBlocksEach) = (null, null);
    }

    /// <summary>Prefill by each kernel: ends of tiles, contexts from earlier chunks, sequences of many lengths, windows, soft caps.</summary>
    [Theory]
    [InlineData(24)]
    [InlineData(64)]
    [InlineData(80)]
    [InlineData(96)]
    [InlineData(128)]
    [InlineData(192)]
    [InlineData(256)]
    public void Prefill_matches_by_every_method(int headDim)
    {
        foreach (var (method, spread) in s_prefills)
        {
            (_ops.PrefillMethod, _ops.PrefillSpread) = (method, spread);
            var heads = new HeadLayout(0, 8, 0, 2, 4, headDim);
            Attend(new PagedCase(heads, Activation, 16, (0, 2)));
            Attend(new PagedCase(heads, Activation, 16, (0, 128 + Random.Next(-2, 3))));
            Attend(new PagedCase(heads, Activation, 24, (Random.Next(100, 300), Random.Next(30, 140))));
            Attend(
                new PagedCase(new HeadLayout(0, 3, 0, 3, 1, headDim), Activation, 16, (17, 1), (0, 65), (255, 2), (1, 1), (128, 130)));

            // Windows inside a tile and across several; caps; both.
            var scale = 1 / MathF.Sqrt(headDim);
            Attend(new PagedCase(heads, Activation, 16, (90, 200)), new AttentionOptions(scale, Random.Next(1, 60)));
            Attend(new PagedCase(heads, Activation, 16, (300, 70), (0, 40)), new AttentionOptions(scale, 150));
            Attend(new PagedCase(heads, Activation, 16, (64, 96)), new AttentionOptions(2 * scale, 100, 5f), range: 3);
        }
    }

    /// <summary>More sequences than a warp has lanes, so that finding a block's rows takes several rounds; odd groups of heads.</summary>
    [Fact]
    public void Prefill_of_many_sequences_matches_by_every_method()
    {
        foreach (var (method, spread) in s_prefills)
        {
            (_ops.PrefillMethod, _ops.PrefillSpread) = (method, spread);
            var sequences = Enumerable.Range(0, 70).Select(i => (Random.Next(0, 40), i % 3 == 0 ? 1 : Random.Next(1, 9))).ToArray();
            Attend(new PagedCase(new HeadLayout(0, 4, 0, 2, 2, 64), Activation, 16, sequences));
            Attend(new PagedCase(new HeadLayout(6, 6, 1, 2, 4, 64), Activation, 16, (100, 57), (0, 3)));
            Attend(new PagedCase(new HeadLayout(0, 7, 0, 1, 7, 128), Activation, 16, (33, 40), (0, 1), (0, 19)));
        }
    }
}
