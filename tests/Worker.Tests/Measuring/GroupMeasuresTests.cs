using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Measuring;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Measuring;

public class GroupMeasuresTests
{
    [Fact]
    public void EveryRankMeasuresAllReducesOfEverySize()
    {
        var figures = new IReadOnlyList<Figure>[2];
        GroupRun.OnEachRank(2, (context, device) => figures[context.Rank] = AllReduceTimes.Measure(
            context.Collective, device, new CpuMeasuringOps((CpuDevice)device), DType.F32, [64, 4096, 65_536]));

        Assert.All(figures, rank =>
        {
            Assert.Equal([64, 4096, 65_536], rank.Select(figure => figure.Bytes));
            Assert.All(rank, figure => Assert.InRange(figure.Microseconds, 0.01, 1e6));
            Assert.All(rank, figure => Assert.Equal("shared-memory", figure.Name));
        });
    }

    [Fact]
    public void TheReadingRateIsOneThatAProcessorCanHave()
    {
        using var device = new CpuDevice("cpu:0", 2);

        var figure = ReadRate.Measure(device, new CpuMeasuringOps(device));

        Assert.Equal(1L << 30, figure.Bytes);
        Assert.InRange(figure.Bytes / figure.Microseconds / 1e3, 0.2, 2000); // GB/s
        Assert.All(device.MemoryUse(), use => Assert.Equal(0, use.Current));
    }

    [Fact]
    public void TheReadingRateIsMeasuredWithLessWhereMemoryIsShort()
    {
        using var device = new CpuDevice("cpu:0", 1, memoryBudgetBytes: 200L << 20);
        using var tiny = new CpuDevice("cpu:0", 1, memoryBudgetBytes: 1L << 20);

        Assert.Equal(128L << 20, ReadRate.Measure(device, new CpuMeasuringOps(device)).Bytes);
        Assert.Throws<DeviceMemoryException>(() => ReadRate.Measure(tiny, new CpuMeasuringOps(tiny)));
    }
}
