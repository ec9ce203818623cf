using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Loading;

public class WeightLoaderTests
{
    private static readonly DType[] s_types = [DType.F32, DType.BF16, DType.F16];

    [Theory]
    [InlineData(4 << 20)]
    [InlineData(1000)]
    [InlineData(64)]
    public void RandomSlicesEqualNaiveSlicing(int chunkBytes)
    {
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            var fileType = s_types[random.Next(3)];
            var runType = s_types[random.Next(3)];
            int[] shape = random.Next(4) == 0 ? [random.Next(1, 400)] : [random.Next(1, 90), random.Next(1, 300)];
            using var fixture = new LoaderFixture(seed, ("before", DType.BF16, [7]), ("w", fileType, shape));
            int? dim = random.Next(3) == 0 ? null : random.Next(shape.Length);
            IndexRange[] ranges = dim is { } cut ? Ranges(random, shape[cut]) : [];
            var target = fixture.Target("w", dim, runType, gap: random.Next(2) * 5, ranges);

            fixture.Loader(chunkBytes).Load([target]);

            var naive = fixture.Naive(target);
            var expected = new byte[naive.Length / fileType.SizeInBytes() * runType.SizeInBytes()];
            DTypeConversion.Convert(fileType, naive, runType, expected);
            Assert.True(
                expected.AsSpan().SequenceEqual(HostDevice.Bytes(target.Destination)),
                $"seed {seed}: {fileType} [{string.Join(", ", shape)}] → {runType}, dim {dim}, " +
                $"{string.Join(", ", ranges)}");
            Assert.True(HostDevice.GapsAreUntouched(target.Destination), $"seed {seed}: wrote between the rows");
        }
    }

    [Fact]
    public void PartsOfOneFusedBufferDoNotTouchEachOther()
    {
        using var fixture = new LoaderFixture(
            5, ("q", DType.BF16, [64, 48]), ("k", DType.F32, [32, 48]), ("v", DType.F16, [32, 48]));
        var fused = fixture.Device.Tensor(DType.F32, 24 + 8 + 8, 48);
        WeightTarget[] targets =
        [
            fixture.Target("q", 0, DType.F32, 0, new IndexRange(24, 48)) with { Destination = fused.RowsAt(0, 24) },
            fixture.Target("k", 0, DType.F32, 0, new IndexRange(8, 16)) with { Destination = fused.RowsAt(24, 8) },
            fixture.Target("v", 0, DType.F32, 0, new IndexRange(8, 16)) with { Destination = fused.RowsAt(32, 8) },
        ];

        fixture.Loader(chunkBytes: 500).Load(targets);

        foreach (var target in targets)
        {
            var naive = fixture.Naive(target);
            var expected = new byte[target.Destination.Rows * 48 * 4];
            DTypeConversion.Convert(fixture.Tensors[target.Slice.Name].DType, naive, DType.F32, expected);
            Assert.Equal(expected, HostDevice.Bytes(target.Destination));
        }
    }

    [Fact]
    public void OnlyOwnedBytesAreRead()
    {
        using var fixture = new LoaderFixture(
            6, ("wide", DType.BF16, [40, 8192]), ("tall", DType.F32, [512, 64]), ("norm", DType.F32, [64]));
        var report = fixture.Loader().Load(
        [
            fixture.Target("wide", 1, DType.BF16, 0, new IndexRange(2048, 4096)),
            fixture.Target("tall", 0, DType.F32, 0, new IndexRange(128, 256)),
            fixture.Target("norm", null, DType.F32, 0),
        ]);

        Assert.Equal((40 * 2048 * 2) + (128 * 64 * 4) + (64 * 4), report.BytesRead);
        Assert.Equal(report.OwnedBytes, report.BytesRead);
        Assert.Equal(1, report.Files);
    }

    [Fact]
    public void GapsSmallerThanAPageAreReadAlong()
    {
        // Rows of 512 bytes, of which 128 are held: 384 bytes between two runs lie in pages that are fetched anyway.
        using var fixture = new LoaderFixture(7, ("narrow", DType.BF16, [100, 256]));
        var report = fixture.Loader().Load([fixture.Target("narrow", 1, DType.BF16, 0, new IndexRange(64, 128))]);
        Assert.Equal(100 * 128, report.OwnedBytes);
        Assert.Equal((99 * 512) + 128, report.BytesRead);
    }

    [Fact]
    public void ProgressRisesToTheTotal()
    {
        using var fixture = new LoaderFixture(8, ("a", DType.F32, [100, 100]), ("b", DType.F32, [100]));
        var seen = new List<LoadProgress>();
        fixture.Loader(chunkBytes: 1024).Load(
            [fixture.Target("a", null, DType.BF16, 0), fixture.Target("b", null, DType.BF16, 0)], seen.Add);

        Assert.All(seen, p => Assert.Equal(40_400, p.BytesTotal));
        Assert.Equal(seen.OrderBy(p => p.BytesDone), seen);
        Assert.Equal(40_400, seen[^1].BytesDone);
        Assert.True(seen.Count > 10);
    }

    [Fact]
    public void AFileThatShrankIsAnError()
    {
        using var fixture = new LoaderFixture(9, ("first", DType.F32, [50]), ("last", DType.F32, [20, 30]));
        var target = fixture.Target("last", null, DType.F32, 0);
        using (var file = System.IO.File.OpenWrite(fixture.File))
        {
            file.SetLength(file.Length - 4);
        }

        var error = Assert.Throws<CheckpointException>(() => fixture.Loader().Load([target]));
        Assert.Contains("Rank 3", error.Message, StringComparison.Ordinal);
        Assert.Contains(fixture.File, error.Message, StringComparison.Ordinal);
        Assert.Contains("\"last\"", error.Message, StringComparison.Ordinal);
        Assert.Contains("the file ends", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AFileThatIsGoneIsAnError()
    {
        using var fixture = new LoaderFixture(10, ("w", DType.F32, [5]));
        var target = fixture.Target("w", null, DType.F32, 0);
        System.IO.File.Delete(fixture.File);
        var error = Assert.Throws<CheckpointException>(() => fixture.Loader().Load([target]));
        Assert.Contains("Rank 3", error.Message, StringComparison.Ordinal);
        Assert.Contains("cannot be opened", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatDoesNotFitThePlanIsAnErrorBeforeAnythingIsRead()
    {
        using var fixture = new LoaderFixture(11, ("w", DType.F32, [8, 6]), ("ints", DType.I32, [4]));
        var good = fixture.Target("w", 0, DType.F32, 0, new IndexRange(2, 6));
        AssertFails(good with { FullShape = [6, 8] }, "shape [8, 6]");
        AssertFails(good with { Slice = good.Slice with { Ranges = [new IndexRange(6, 10)] } }, "[6, 10)");
        AssertFails(good with { Slice = good.Slice with { Ranges = [new IndexRange(2, 5)] } }, "do not make 4 of 8");
        AssertFails(good with { Slice = good.Slice with { Name = "missing" } }, "\"missing\"");
        AssertFails(fixture.Target("ints", null, DType.F32, 0), "stored as I32");

        void AssertFails(WeightTarget target, string says)
        {
            var error = Assert.Throws<CheckpointException>(() => fixture.Loader().Load([target]));
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void LoadingNothingIsFine()
    {
        using var fixture = new LoaderFixture(12, ("w", DType.F32, [8, 6]));
        Assert.Equal(0, fixture.Loader().Load([]).BytesRead);
        var empty = fixture.Target("w", 1, DType.F32, 0, new IndexRange(3, 3));
        Assert.Equal(0, fixture.Loader().Load([empty]).BytesRead);
    }

    // One to three rising ranges, some empty.
    private static IndexRange[] Ranges(Random random, int size)
    {
        int[] edges = [.. Enumerable.Range(0, 2 * random.Next(1, 4)).Select(_ => random.Next(size + 1)).Order()];
        return [.. Enumerable.Range(0, edges.Length / 2).Select(i => new IndexRange(edges[2 * i], edges[(2 * i) + 1]))];
    }
}
