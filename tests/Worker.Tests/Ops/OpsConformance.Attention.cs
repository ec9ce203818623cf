using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using TensorParallel.Worker.Ops;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

public abstract partial class OpsConformance
{
    [Theory]
    [InlineData(DType.F32, 64)]
    [InlineData(DType.BF16, 64)]
    [InlineData(DType.F16, 128)]
    [InlineData(DType.BF16, 80)]
    [InlineData(DType.F32, 8)]
    [InlineData(DType.F16, 24)]
    [InlineData(DType.BF16, 256)]
    [InlineData(DType.F32, 6)]
    public void Attention_matches(DType cacheDType, int headDim)
    {
        var heads = new HeadLayout(0, 8, 0, 2, 4, headDim);
        Attend(new PagedCase(heads, cacheDType, 16, (0, 1)));
        Attend(new PagedCase(heads, cacheDType, 16, (0, 19)));
        Attend(new PagedCase(heads, cacheDType, 5, (13, 1), (0, 7), (31, 3)));
        Attend(new PagedCase(heads, cacheDType, 7, (20, 1), (3, 1), (0, 1), (64, 1)));
    }

    [Theory]
    [InlineData(DType.F32, 64)]
    [InlineData(DType.BF16, 128)]
    [InlineData(DType.F16, 80)]
    public void Rows_that_only_fill_up_a_step_are_zeros(DType cacheDType, int headDim)
    {
        var heads = new HeadLayout(0, 8, 0, 2, 4, headDim);
        Attend(new PagedCase(heads, cacheDType, 16, (20, 1), (-1, 1), (3, 1), (-1, 1)));
        Attend(new PagedCase(heads, cacheDType, 16, (-1, 1), (700, 1), (-1, 1), (255, 1)));
        Attend(new PagedCase(heads, cacheDType, 16, (-1, 1), (-1, 1)));
        Attend(new PagedCase(heads, cacheDType, 16, (300, 1), (-1, 1)), new AttentionOptions(0.3f, 50));
    }

    [Fact]
    public void A_recorded_step_serves_shorter_contexts()
    {
        var heads = new HeadLayout(0, 8, 0, 2, 4, 64);
        foreach (var past in (int[])[0, 40, 255, 700])
        {
            Attend(new PagedCase(heads, DType.BF16, 16, (past, 1)), context: 1024);
            Attend(new PagedCase(heads, DType.BF16, 16, (past, 1), (-1, 1), (9, 1)), context: 16_384);
        }
    }

    [Fact]
    public void Attention_matches_for_every_grouping_of_heads()
    {
        foreach (var heads in (HeadLayout[])[
            new(0, 3, 0, 3, 1, 16), new(0, 7, 0, 1, 7, 32), new(6, 6, 1, 2, 4, 16), new(2, 3, 0, 2, 3, 16),
            new(0, 1, 0, 1, 1, 64),
            new(0, 50, 0, 1, 50, 8)])
        {
            Attend(new PagedCase(heads, DType.BF16, 16, (40, 1)));
            Attend(new PagedCase(heads, DType.F32, 16, (5, 13), (0, 50)));
        }
    }

    [Fact]
    public void Attention_matches_over_several_chunks_of_context()
    {
        var heads = new HeadLayout(0, 4, 0, 2, 2, 32);
        Attend(new PagedCase(heads, DType.BF16, 16, (600, 1), (255, 1), (256, 1), (0, 1)));
        Attend(new PagedCase(new HeadLayout(0, 2, 0, 1, 2, 16), DType.BF16, 16, (2500, 1)));
        Attend(new PagedCase(new HeadLayout(0, 2, 0, 1, 2, 16), DType.BF16, 16, (9000, 1)));
        Attend(new PagedCase(heads, DType.BF16, 48, (500, 30)));
        Attend(new PagedCase(heads, DType.F32, 512, (250, 9), (700, 1)));
        Attend(new PagedCase(heads, DType.F16, 16, (0, 300)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(100)]
    [InlineData(300)]
    public void Attention_keeps_to_the_sliding_window(int window)
    {
        var heads = new HeadLayout(0, 4, 0, 2, 2, 16);
        Attend(new PagedCase(heads, DType.F32, 16, (600, 1), (3, 1)), new AttentionOptions(0.3f, window));
        Attend(new PagedCase(heads, DType.BF16, 16, (250, 40), (0, 20)), new AttentionOptions(0.3f, window));
    }

    [Fact]
    public void Attention_caps_scores()
    {
        var heads = new HeadLayout(0, 4, 0, 2, 2, 16);
        var options = new AttentionOptions(2f, null, 5f);
        Attend(new PagedCase(heads, DType.F32, 16, (300, 1), (3, 1)), options, range: 3);
        Attend(new PagedCase(heads, DType.BF16, 16, (0, 40)), options with { SlidingWindow = 9 }, range: 3);
    }

    [Fact]
    public void Attention_stands_scores_of_any_size()
    {
        var heads = new HeadLayout(0, 2, 0, 1, 2, 16);
        Attend(new PagedCase(heads, DType.F32, 16, (300, 1), (0, 20)), new AttentionOptions(1f), range: 30);
    }

    private protected void Attend(PagedCase shape, AttentionOptions? given = null, double range = 1, int context = 0)
    {
        shape = shape with { CacheDType = CacheDTypeFor(shape.CacheDType) };
        var options = given ?? new AttentionOptions(1 / MathF.Sqrt(shape.Heads.HeadDim));
        var step = Step(shape, range, filledBeyondPast: true);
        var fused = Input(Activation, shape.Tokens, shape.Heads.FusedColumns, range);
        var output = Output(shape.Tokens, shape.Heads.QueryHeads * shape.Heads.HeadDim);
        var stepRows = step.Rows with { MaxContext = Math.Max(context, shape.MaxContext) };
        Ops.Attention(fused.Tensor, shape.Heads, options, stepRows, step.Cache, output.Tensor);
        Device.Synchronize();
        var expected = Expected(shape, options, step, fused.Values);

        // Scores of size s carry errors of s · 2^-24 · a few into the exponent.
        var tolerance = 3e-6 * range * (1 + (options.Scale * range * range * shape.Heads.HeadDim));
        // Weights rounded to the activation's dtype add at most its rounding of the largest value, the result another.
        output.AssertClose(expected, (_, _) => tolerance + (2 * Rounded(range)), $"{shape} {options}");
        step.Keys.AssertUntouched("keys");
        step.Values.AssertUntouched("values");
        AssertInputsUntouched();
    }

    private static double[,] Expected(PagedCase shape, AttentionOptions options, PagedStep step, double[,] fused)
    {
        var (size, heads) = (shape.Heads.HeadDim, shape.Heads.QueryHeads);
        var expected = new double[shape.Tokens, heads * size];
        var (keys, values) = (step.Keys.Values, step.Values.Values);
        var logical = Enumerable.Range(0, shape.Sequences.Length)
            .Select(s => Enumerable.Range(0, shape.Heads.KeyValueHeads)
                .Select(h => (step.Logical(keys, s, h), step.Logical(values, s, h))).ToArray()).ToArray();
        foreach (var ((sequence, position), row) in shape.Rows().Select((r, i) => (r, i)).Where(r => r.r.Position >= 0))
        {
            for (var head = 0; head < heads; head++)
            {
                var query = Enumerable.Range(0, size).Select(d => fused[row, (head * size) + d]).ToArray();
                var (k, v) = logical[sequence][shape.Heads.KeyValueHeadOf(head)];
                var result = ReferenceAttention.Attend(
                    query, k, v, position, options.Scale, options.SlidingWindow, options.LogitSoftCap);
                for (var d = 0; d < size; d++)
                {
                    expected[row, (head * size) + d] = result[d];
                }
            }
        }

        return expected;
    }

    /// <summary>
    /// Puts a case on the device: blocks in random order among blocks of nobody, random keys and values for the past
    /// (and for the step's own rows, if asked), NaN everywhere else.
    /// </summary>
    private PagedStep Step(PagedCase shape, double range, bool filledBeyondPast)
    {
        var count = Enumerable.Range(0, shape.Sequences.Length).Sum(shape.BlocksOf);
        var ids = Enumerable.Range(0, count + 3).ToArray();
        Random.Shuffle(ids);
        var next = 0;
        var blocks = Enumerable.Range(0, shape.Sequences.Length)
            .Select(s => ids[next..(next += shape.BlocksOf(s))]).ToArray();
        var columns = blocks.Max(b => b.Length) + 2;
        var table = new double[shape.Sequences.Length, columns];
        for (var s = 0; s < blocks.Length; s++)
        {
            for (var i = 0; i < columns; i++)
            {
                table[s, i] = i < blocks[s].Length ? blocks[s][i] : -1;
            }
        }

        var rows = shape.Rows().ToArray();
        var step = shape.Step(
            Integers([.. rows.Select(r => r.Position)]).Tensor,
            Integers([.. rows.Select(r => r.Sequence)]).Tensor,
            Integers(shape.Starts()).Tensor,
            Input(DType.I32, table).Tensor);
        var cacheRows = ids.Length * shape.Heads.KeyValueHeads * shape.BlockTokens;
        var empty = new PagedStep(shape, step, CacheTensor(shape, cacheRows, null),
            CacheTensor(shape, cacheRows, null), blocks);
        return empty with
        {
            Keys = CacheTensor(shape, cacheRows, FilledCache(empty, range, filledBeyondPast)),
            Values = CacheTensor(shape, cacheRows, FilledCache(empty, range, filledBeyondPast)),
        };
    }

    private TestTensor CacheTensor(PagedCase shape, int rows, double[,]? values) =>
        new(Device, shape.CacheDType, rows, shape.Heads.HeadDim, 0, values);

    private double[,] FilledCache(PagedStep step, double range, bool filledBeyondPast)
    {
        var values = step.Keys.Values;
        for (var s = 0; s < step.Blocks.Length; s++)
        {
            var (past, rows) = step.Case.Sequences[s];
            for (var p = 0; p < past + (filledBeyondPast ? rows : 0); p++)
            {
                for (var i = 0; i < step.Case.Heads.KeyValueHeads * step.Case.Heads.HeadDim; i++)
                {
                    var (head, d) = (i / step.Case.Heads.HeadDim, i % step.Case.Heads.HeadDim);
                    values[step.CacheRow(s, head, p), d] = ((Random.NextDouble() * 2) - 1) * range;
                }
            }
        }

        return values;
    }
}
