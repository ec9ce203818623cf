using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>What every implementation of <see cref="IMeasuringOps"/> must do; a backend derives one class.</summary>
public abstract class MeasuringConformance : IDisposable
{
    private readonly IDisposable _device;
    private readonly object _ops;

    /// <summary>Takes over the device; the operations are an <see cref="IMeasuringOps"/>.</summary>
    protected MeasuringConformance(IDisposable device, object ops)
    {
        _device = device;
        _ops = ops;
    }

    private IDevice Device => (IDevice)_device;

    private IMeasuringOps Ops => (IMeasuringOps)_ops;

    public void Dispose()
    {
        _device.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Dtype, rows, columns, elements between rows, first row, first column, columns of the whole tensor.</summary>
    public static TheoryData<string, int, int, int, long, long, long> Fills { get; } = new()
    {
        { nameof(DType.BF16), 5, 64, 0, 0, 0, 64 },
        { nameof(DType.BF16), 1, 1, 3, 7, 2, 9 },
        { nameof(DType.F16), 7, 33, 1, 100, 5, 77 },
        { nameof(DType.F32), 3, 2055, 6, 1, 3, 4001 },
        { nameof(DType.BF16), 2, 5003, 8, 128_255, 4093, 16_384 },
        // The generator's counter passes 2^32 inside the row.
        { nameof(DType.F32), 2, 41, 0, 0, (1L << 34) - 21, 1L << 40 },
        { nameof(DType.F16), 70_000, 3, 0, 11, 1, 5 },
    };

    [Theory]
    [MemberData(nameof(Fills))]
    public void RandomElementsAreThoseOfTheWholeTensor(
        string dtypeName, int rows, int columns, int padding, long firstRow, long firstColumn, long fullColumns)
    {
        var dtype = Enum.Parse<DType>(dtypeName);
        var fill = new RandomFill(
            RandomFill.KeyOf("model.layers.7.mlp.up_proj.weight"), firstRow, firstColumn, fullColumns, 0.125f, 0.02f);
        var target = new TestTensor(Device, dtype, rows, columns, padding, null);

        Ops.FillRandom(target.Tensor, fill);

        Device.Synchronize();
        var expected = new double[rows, columns];
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                expected[row, column] = Expected(fill, ((firstRow + row) * fullColumns) + firstColumn + column);
            }
        }

        target.Expect(expected);
        target.AssertUntouched("filled");
    }

    [Fact]
    public void RandomElementsHaveMeanAndDeviation()
    {
        const int Side = 1000;
        var target = new TestTensor(Device, DType.F32, Side, Side, 0, null);

        Ops.FillRandom(target.Tensor, new RandomFill(RandomFill.KeyOf("x"), 0, 0, Side, 1f, 0.5f));

        Device.Synchronize();
        var values = target.Accept().Cast<double>().ToArray();
        var mean = values.Average();
        Assert.InRange(mean, 0.998, 1.002);
        Assert.InRange(Math.Sqrt(values.Average(value => (value - mean) * (value - mean))), 0.499, 0.501);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(1000)]
    [InlineData((1 << 20) + 12)]
    [InlineData(9_000_004)]
    public void WordsAreSummedModulo32Bits(int count)
    {
        var words = new int[count];
        new Random(count).NextBytes(MemoryMarshal.AsBytes(words.AsSpan()));
        using var source = Device.Allocate(count * 4L, MemoryPurpose.Workspace);
        using var target = Device.Allocate(4, MemoryPurpose.Workspace);
        Device.CopyToDevice(MemoryMarshal.AsBytes<int>(words), source, 0);
        Device.CopyToDevice(BitConverter.GetBytes(41), target, 0);

        Ops.SumWords(new Tensor(source, 0, DType.I32, 1, count, count), new Tensor(target, 0, DType.I32, 1, 1, 1));

        var sum = new byte[4];
        Device.CopyToHost(target, 0, sum);
        Assert.Equal(words.Aggregate(41, (all, word) => unchecked(all + word)), BitConverter.ToInt32(sum));
    }

    [Fact]
    public void PointsAreInOrderAndTheirNumbersStartAnew()
    {
        using var buffer = Device.Allocate(64 << 20, MemoryPurpose.Workspace);
        using var target = Device.Allocate(4, MemoryPurpose.Workspace);
        var words = new Tensor(buffer, 0, DType.I32, 1, 16 << 20, 16 << 20);
        var sum = new Tensor(target, 0, DType.I32, 1, 1, 1);
        Device.Clear(buffer, 0, buffer.Bytes);
        Ops.SumWords(words, sum);
        using var marks = Ops.CreateMarks();
        for (var round = 0; round < 3; round++)
        {
            marks.Clear();
            marks.Hold(TimeSpan.FromMilliseconds(1));
            Assert.Equal(0, marks.Mark());
            Ops.SumWords(words, sum);
            Assert.Equal(1, marks.Mark());
            Ops.SumWords(words, sum);
            Ops.SumWords(words, sum);
            Assert.Equal(2, marks.Mark());

            // 64 MiB: more than 5 us at 12 TB/s, and less than a second anywhere.
            Assert.InRange(marks.Microseconds(0, 1), 5, 1e6);
            Assert.True(marks.Microseconds(0, 2) > marks.Microseconds(0, 1));
        }
    }

    // As RandomFill's own words have it, one element at a time.
    private static float Expected(RandomFill fill, long index)
    {
        var block = index / 4;
        var (x0, x1, x2, x3) = Philox4x32.Block(
            (uint)(block & 0xFFFFFFFF), (uint)(block >> 32), 0, 0, (uint)(fill.Key & 0xFFFFFFFF), (uint)(fill.Key >> 32));
        var word = (uint[])[x0, x1, x2, x3];
        var sum = BitConverter.GetBytes(word[index % 4]).Sum(value => value);
        var product = (float)(fill.Deviation / Math.Sqrt(4 * ((256.0 * 256) - 1) / 12)) * (sum - 510);
        return fill.Mean + product;
    }
}
