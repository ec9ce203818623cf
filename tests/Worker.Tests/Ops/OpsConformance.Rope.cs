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
