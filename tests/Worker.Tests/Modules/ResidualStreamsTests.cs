using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Modules;

public sealed class ResidualStreamsTests
{
    [Theory]
    [InlineData(null, 5000, new[] { 5000 })]
    [InlineData(1024, 1023, new[] { 1023 })]
    [InlineData(1024, 2048, new[] { 1024, 1024 })]
    [InlineData(1024, 2000, new[] { 1024, 976 })]
    [InlineData(1, 1, new[] { 1 })]
    [InlineData(1, 7, new[] { 3, 4 })]
    public void Rows_are_halved_where_the_group_asks_for_it(int? least, int rows, int[] expected) => GroupRun.OnEachRank(1, (plain, _) =>
    {
        using var streams = new ResidualStreams(
            plain with { Collective = new HalvingCollective(plain.Collective, least) }, columns: 64, DType.F32);

        Assert.Equal(expected, streams.PartsOf(rows));
        Assert.Equal(expected.Length, streams.Begin(expected.Length).Count);
        streams.End();
    });
}
