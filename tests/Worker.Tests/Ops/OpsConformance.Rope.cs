using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using TensorParallel.Worker.Ops;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

public abstract partial class OpsConformance
{
    [Theory]
    [InlineData(DType.F32, 64, 64)]
    [InlineData(DType.BF16, 128, 128)]
    [InlineData(DType.F16, 80, 40)]
    [InlineData(DType.BF16, 6, 2)]
    public void Rope_rotates_and_writes_the_cache(DType cacheDType, int headDim, int rotaryDim)
    {
        foreach (var heads in (HeadLayout[])[new(0, 4, 0, 2, 2, headDim), new(0, 3, 0, 1, 3, headDim)])
        {
            Rotate(new PagedCase(heads, cacheDType, 16, (0, 1)), rotaryDim);
            Rotate(new PagedCase(heads, cacheDType, 5, (13, 1), (0, 7), (31, 3)), rotaryDim);
            Rotate(new PagedCase(heads, cacheDType, 16, (3, 60)), rotaryDim);
            Rotate(new PagedCase(heads, cacheDType, 16, (3, 1), (-1, 1), (17, 1), (-1, 1)), rotaryDim);
        }
    }

    /// <summary>One operation does what the two do, on a copy of the cache.</summary>
    [Theory]
    [InlineData(DType.BF16, 64, 64)]
    [InlineData(DType.BF16, 128, 128)]
    [InlineData(DType.F16, 96, 96)]
    [InlineData(DType.F16, 256, 256)]
    [InlineData(DType.BF16, 80, 80)]
    [InlineData(DType.F32, 64, 32)]
    public void Rotating_and_attending_together_is_the_same(DType cacheDType, int headDim, int rotaryDim)
    {
        foreach (var heads in (HeadLayout[])[new(0, 8, 0, 2, 4, headDim), new(0, 3, 0, 3, 1, headDim), new(0, 20, 0, 1, 20, headDim)])
        {
            foreach (var sequences in ((int, int)[][])[
                [(0, 1)], [(15, 1)], [(16, 1)], [(63, 1)], [(64, 1), (0, 1), (Random.Next(300), 1)], [(700, 1)], [(30, 5), (7, 1)], [(-1, 1), (40, 1), (-1, 1)]])
            {
                var shape = new PagedCase(heads, cacheDType, 16, sequences);
                RotateAndAttend(shape, rotaryDim, new AttentionOptions(1 / MathF.Sqrt(headDim)));
            }

            RotateAndAttend(
                new PagedCase(heads, cacheDType, 7, (Random.Next(20, 200), 1), (3, 1)), rotaryDim, new AttentionOptions(0.2f, 19, 20f));
        }
    }

    private void RotateAndAttend(PagedCase shape, int rotaryDim, AttentionOptions options)
    {
        shape = shape with { CacheDType = CacheDTypeFor(shape.CacheDType) };
        var step = Step(shape, 1, filledBeyondPast: false);
        var cacheRows = step.Keys.Tensor.Rows;
        var twin = step with
        {
            Keys = CacheTensor(shape, cacheRows, step.Keys.Values),
            Values = CacheTensor(shape, cacheRows, step.Values.Values),
        };
        var fused = Target(shape.Tokens, shape.Heads.FusedColumns);
        var copy = Input(Activation, fused.Values);
        _inputs.Remove(copy);
        var cosSin = Input(DType.F32, shape.MaxContext, rotaryDim);
        var columns = shape.Heads.QueryHeads * shape.Heads.HeadDim;
        var (expected, output) = (Output(shape.Tokens, columns), Output(shape.Tokens, columns));
        Ops.RopeAndWriteKv(fused.Tensor, shape.Heads, cosSin.Tensor, step.Rows, step.Cache);
        Ops.Attention(fused.Tensor, shape.Heads, options, step.Rows, step.Cache, expected.Tensor);
        Ops.RotateAndAttend(copy.Tensor, shape.Heads, cosSin.Tensor, options, twin.Rows, twin.Cache, output.Tensor);
        Device.Synchronize();
        var wanted = expected.Accept();
        output.AssertClose(wanted, (_, _) => 1e-5 + (4 * Rounded(1)), $"{shape} {options}");
        AssertSameCache(step.Keys, twin.Keys);
        AssertSameCache(step.Values, twin.Values);
        AssertInputsUntouched();
    }

    // Sums of two products may be rounded once or twice; what nobody has written stays as it was.
    private void AssertSameCache(TestTensor expected, TestTensor actual)
    {
        var (wanted, found) = (expected.Accept(), actual.Accept());
        for (var t = 0; t < wanted.GetLength(0); t++)
        {
            for (var d = 0; d < wanted.GetLength(1); d++)
            {
                Assert.True(
                    wanted[t, d].Equals(found[t, d]) || Math.Abs(wanted[t, d] - found[t, d]) <= 1e-6 + (2 * Rounded(wanted[t, d])),
                    $"cache row {t}, element {d}: {found[t, d]} instead of {wanted[t, d]}");
            }
        }
    }

    private void Rotate(PagedCase shape, int rotaryDim)
    {
        shape = shape with { CacheDType = CacheDTypeFor(shape.CacheDType) };
        var step = Step(shape, 1, filledBeyondPast: false);
        var fused = Target(shape.Tokens, shape.Heads.FusedColumns);
        var cosSin = Input(DType.F32, shape.MaxContext, rotaryDim);
        var (expected, keys, values) = (fused.Values, step.Keys.Values, step.Values.Values);
        Ops.RopeAndWriteKv(fused.Tensor, shape.Heads, cosSin.Tensor, step.Rows, step.Cache);
        Device.Synchronize();
        RotateQueriesAndKeys(shape, expected, cosSin.Values);
        fused.AssertClose(expected, (t, i) => 3e-7 + Rounded(expected[t, i]), $"{shape}");

        // The cache holds what the row now holds, rounded once; elsewhere nothing has changed.
        var rotated = fused.Values;
        foreach (var ((sequence, position), row) in shape.Rows().Select((r, i) => (r, i)).Where(r => r.r.Position >= 0))
        {
            for (var i = 0; i < shape.Heads.KeyValueHeads * shape.Heads.HeadDim; i++)
            {
                var (head, d) = (i / shape.Heads.HeadDim, i % shape.Heads.HeadDim);
                var key = (shape.Heads.QueryHeads * shape.Heads.HeadDim) + i;
                var value = key + (shape.Heads.KeyValueHeads * shape.Heads.HeadDim);
                keys[step.CacheRow(sequence, head, position), d] = rotated[row, key];
                values[step.CacheRow(sequence, head, position), d] = rotated[row, value];
            }
        }

        ExpectKeepingNaN(step.Keys, keys);
        ExpectKeepingNaN(step.Values, values);
        AssertInputsUntouched();
    }

    private static void RotateQueriesAndKeys(PagedCase shape, double[,] fused, double[,] cosSin)
    {
        foreach (var (position, row) in shape.Rows().Select((r, i) => (r.Position, i)).Where(r => r.Position >= 0))
        {
            var angles = Enumerable.Range(0, cosSin.GetLength(1)).Select(d => cosSin[position, d]).ToArray();
            for (var head = 0; head < shape.Heads.QueryHeads + shape.Heads.KeyValueHeads; head++)
            {
                var size = shape.Heads.HeadDim;
                var values = Enumerable.Range(0, size).Select(d => fused[row, (head * size) + d]).ToArray();
                ReferenceAttention.Rotate(values, angles);
                for (var d = 0; d < size; d++)
                {
                    fused[row, (head * size) + d] = values[d];
                }
            }
        }
    }

    private static void ExpectKeepingNaN(TestTensor cache, double[,] expected)
    {
        var actual = cache.Accept();
        for (var t = 0; t < expected.GetLength(0); t++)
        {
            for (var d = 0; d < expected.GetLength(1); d++)
            {
                var bytes = new byte[4];
                Elements.Write(bytes, cache.Tensor.DType, expected[t, d]);
                Assert.Equal(Elements.Read(bytes, cache.Tensor.DType), actual[t, d]);
            }
        }

        cache.AssertUntouched("around the cache");
    }
}
