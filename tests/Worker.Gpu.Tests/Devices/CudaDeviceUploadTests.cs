using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Devices;

/// <summary>Upload lanes on a real GPU: rectangles with and without gaps, slots reused while copies run, several lanes at once.</summary>
public sealed class CudaDeviceUploadTests : IDisposable
{
    private const int SlotBytes = 1 << 20;

    private readonly CudaDevice _device = Gpu.Open();

    public void Dispose() => _device.Dispose();

    [Theory]
    [InlineData(1, 100_000, 0, 0)]
    [InlineData(64, 2048, 0, 0)]
    [InlineData(64, 2048, 6144, 0)]
    [InlineData(64, 2048, 0, 512)]
    [InlineData(33, 1001, 77, 5)]
    [InlineData(3, 1, 3, 1)]
    public void Rectangles_arrive_and_gaps_stay(int rows, int columns, int sourceGap, int targetGap)
    {
        const int Lanes = 4;
        const int Rounds = 9;
        var tensors = Enumerable.Range(0, Lanes * Rounds).Select(_ => Strided(rows, columns, targetGap)).ToArray();
        var sources = tensors.Select(_ => new byte[checked(((rows - 1) * (columns + sourceGap)) + columns) * 2]).ToArray();
        Parallel.For(0, Lanes, new ParallelOptions { MaxDegreeOfParallelism = Lanes }, lane =>
        {
            using var uploads = _device.OpenUploadLane(SlotBytes);
            for (var round = 0; round < Rounds; round++)
            {
                var i = (lane * Rounds) + round;
                new Random(i).NextBytes(sources[i]);
                var slot = uploads.NextSlot();
                sources[i].CopyTo(slot[256..]);
                uploads.Copy(256, (columns + sourceGap) * 2L, tensors[i]);
            }

            uploads.Finish();
        });
        for (var i = 0; i < tensors.Length; i++)
        {
            AssertHolds(tensors[i], sources[i], (columns + sourceGap) * 2);
        }
    }

    private static void AssertRow(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, int row) =>
        Assert.True(expected.SequenceEqual(actual), $"row {row} differs");

    private Tensor Strided(int rows, int columns, int gap) =>
        new(_device.Allocate((long)rows * (columns + gap) * 2, MemoryPurpose.Weights), 0, DType.BF16, rows, columns, columns + gap);

    private void AssertHolds(Tensor tensor, byte[] source, int pitch)
    {
        var all = new byte[tensor.Buffer.Bytes];
        _device.CopyToHost(tensor.Buffer, 0, all);
        for (var row = 0; row < tensor.Rows; row++)
        {
            var place = all.AsSpan(row * tensor.RowStride * 2, tensor.Columns * 2);
            AssertRow(source.AsSpan(row * pitch, tensor.Columns * 2), place, row);
            place.Fill(0xFF);
        }

        Assert.True(all.AsSpan().IndexOfAnyExcept((byte)0xFF) < 0, "bytes between the rows were changed");
    }
}
