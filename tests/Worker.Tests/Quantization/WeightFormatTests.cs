using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Quantization;

public class WeightFormatTests
{
    [Fact]
    public void EveryFormatIsInTheCatalog()
    {
        var all = typeof(IWeightFormat).Assembly.GetTypes()
            .Where(t => t.IsAssignableTo(typeof(IWeightFormat)) && t is { IsAbstract: false });
        Assert.Equal(all.OrderBy(t => t.Name), WeightFormatCatalog.All.Select(f => f.GetType()).OrderBy(t => t.Name));
        Assert.Equal(WeightFormatCatalog.All.Count, WeightFormatCatalog.All.Select(f => f.Name).Distinct().Count());
        Assert.All(WeightFormatCatalog.All, f => Assert.Same(f, WeightFormatCatalog.Get(f.Name)));
        var error = Assert.Throws<ArgumentException>(() => WeightFormatCatalog.Get("nope"));
        Assert.Contains("dense", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DensePartsAreStackedByRows()
    {
        using var device = new HostDevice();
        var targets = new List<WeightTarget>();
        using var weight = new DenseFormat().Allocate(
            Memory(device),
            DType.BF16,
            [Part("q", 0, 512, 64, new IndexRange(192, 384)), Part("k", 0, 128, 64, new IndexRange(64, 128))],
            targets);

        Assert.Equal((64, 192 + 64), (weight.InFeatures, weight.OutFeatures));
        Assert.Equal([(192, 64, 0L), (64, 64, 192 * 64 * 2L)], targets.Select(
            t => (t.Destination.Rows, t.Destination.Columns, t.Destination.OffsetBytes)));
        Assert.Single(targets.Select(t => t.Destination.Buffer).Distinct());
        Assert.Equal((192 + 64) * 64 * 2, targets[0].Destination.Buffer.Bytes);
    }

    [Fact]
    public void PartsWithOtherColumnsCannotBeStacked()
    {
        using var device = new HostDevice();
        var error = Assert.Throws<ArgumentException>(() => new DenseFormat().Allocate(
            Memory(device), DType.F32, [Part("a", null, 8, 4), Part("b", 1, 8, 4, new IndexRange(0, 2))], []));
        Assert.Contains("b has 2 input columns but a has 4", error.Message, StringComparison.Ordinal);
    }

    private static WeightMemory Memory(IDevice device) =>
        (dtype, rows, columns) => device.AllocateTensor(dtype, rows, columns, MemoryPurpose.Weights);

    private static WeightPart Part(string name, int? dim, int rows, int columns, params IndexRange[] ranges) =>
        new(new TensorSlice(name, "test", dim, ranges, 0), rows, columns);
}
