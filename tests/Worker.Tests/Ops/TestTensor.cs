using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>
/// A tensor on the device inside a larger buffer whose other bytes are 0xFF (NaN, or −1), and what it should hold: an
/// operation may change nothing but its target, and must not let the surroundings into its results.
/// </summary>
internal sealed class TestTensor
{
    private readonly IDevice _device;
    private readonly byte[] _bytes;

    /// <summary>Makes it; values null: an output, poisoned.</summary>
    public TestTensor(IDevice device, DType dtype, int rows, int columns, int padding, double[,]? values)
    {
        _device = device;
        var size = dtype.SizeInBytes();
        var stride = columns + padding;
        var offset = 64L + (padding * size);
        _bytes = new byte[offset + ((long)rows * stride * size) + 128];
        _bytes.AsSpan().Fill(0xFF);
        var buffer = device.Allocate(_bytes.Length, MemoryPurpose.Workspace);
        Tensor = new Tensor(buffer, offset, dtype, rows, columns, stride);
        if (values is not null)
        {
            Expect(values);
        }

        device.CopyToDevice(_bytes, buffer, 0);
    }

    /// <summary>The view to hand to operations.</summary>
    public Tensor Tensor { get; }

    /// <summary>What the elements are, after rounding to the dtype.</summary>
    public double[,] Values
    {
        get
        {
            var values = new double[Tensor.Rows, Tensor.Columns];
            ForEach((t, i, at) => values[t, i] = Elements.Read(_bytes.AsSpan(at), Tensor.DType));
            return values;
        }
    }

    /// <summary>Elements of a one-row integer tensor.</summary>
    public int[] Integers => [.. Values.Cast<double>().Select(v => (int)v)];

    /// <summary>Notes what an operation should leave here, rounded to the dtype.</summary>
    public void Expect(double[,] values) =>
        ForEach((t, i, at) => Elements.Write(_bytes.AsSpan(at), Tensor.DType, values[t, i]));

    /// <summary>Takes what is on the device as what should be there, and returns it.</summary>
    public double[,] Accept()
    {
        var actual = Download();
        ForEach((_, _, at) => actual.AsSpan(at, Tensor.DType.SizeInBytes()).CopyTo(_bytes.AsSpan(at)));
        return Values;
    }

    /// <summary>Nothing differs from what was put in or expected, not by one bit.</summary>
    public void AssertUntouched(string what)
    {
        var at = Download().AsSpan().CommonPrefixLength(_bytes);
        Assert.True(
            at == _bytes.Length, $"{what}: byte {at} of {_bytes.Length} was changed (tensor at {Tensor.OffsetBytes}).");
    }

    /// <summary>
    /// Each element is within its tolerance of <paramref name="expected"/>; the bytes around the tensor are unchanged.
    /// The worst element is printed.
    /// </summary>
    public void AssertClose(double[,] expected, Func<int, int, double> tolerance, string what)
    {
        var actual = Accept();
        var worst = (Ratio: 0.0, Row: 0, Column: 0);
        ForEach((t, i, _) =>
        {
            var ratio = Math.Abs(actual[t, i] - expected[t, i]) / tolerance(t, i);
            if (!(ratio <= worst.Ratio))
            {
                worst = (double.IsNaN(ratio) ? double.PositiveInfinity : ratio, t, i);
            }
        });
        Assert.True(
            worst.Ratio <= 1,
            $"{what}: [{worst.Row}, {worst.Column}] is {actual[worst.Row, worst.Column]:R}, expected " +
            $"{expected[worst.Row, worst.Column]:R}: {worst.Ratio:G3} times the tolerance.");
        AssertUntouched(what);
    }

    private byte[] Download()
    {
        var actual = new byte[_bytes.Length];
        _device.CopyToHost(Tensor.Buffer, 0, actual);
        return actual;
    }

    private void ForEach(Action<int, int, int> visit)
    {
        var size = Tensor.DType.SizeInBytes();
        for (var t = 0; t < Tensor.Rows; t++)
        {
            for (var i = 0; i < Tensor.Columns; i++)
            {
                visit(t, i, (int)Tensor.OffsetBytes + (((t * Tensor.RowStride) + i) * size));
            }
        }
    }
}
