using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops.Cuda;

/// <summary>Which rows blocks of prefill attention have, on 132 multiprocessors.</summary>
public sealed class PrefillShapeTests
{
    private const int Multiprocessors = 132;

    private static readonly PrefillShape s_hopper = PrefillShape.For(128, 90, 227 * 1024, PrefillMethod.Wgmma);

    [Theory]
    [InlineData(128, 256, false, (int)PrefillSpread.Mirrored)] // 2,048 rows of 8 heads
    [InlineData(128, 256, true, (int)PrefillSpread.Together)]
    [InlineData(256, 512, false, (int)PrefillSpread.Together)] // of 16 heads: long blocks first, short ones fill up
    [InlineData(32, 64, false, (int)PrefillSpread.Apart)]
    [InlineData(32, 64, true, (int)PrefillSpread.Apart)]
    [InlineData(66, 133, false, (int)PrefillSpread.Mirrored)]
    public void Blocks_that_run_at_once_share_work_evenly(int together, int apart, bool windowed, int expected) =>
        Assert.Equal((PrefillSpread)expected, s_hopper.Spread(together, apart, Multiprocessors, windowed));

    [Fact]
    public void Older_kernels_have_rows_side_by_side() => Assert.Equal(
        PrefillSpread.Together, PrefillShape.For(128, 80, 163 * 1024).Spread(16, 32, Multiprocessors, windowed: false));
}
