using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Loading;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>Loading through pinned slots, by a driver whose copies run as late as they may.</summary>
[Collection(FakeDriver.OneAtATime)]
public sealed class CudaLoadTests
{
    private static readonly DType[] s_types = [DType.F32, DType.BF16, DType.F16];

    [Theory]
    [InlineData(8 << 20, 4)]
    [InlineData(1000, 3)]
    [InlineData(64, 1)]
    public void Random_slices_equal_naive_slicing(int chunkBytes, int threads)
    {
        using var device = FakeDriver.Open();
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            var (fileType, runType) = (s_types[random.Next(3)], s_types[random.Next(3)]);
            int[] shape = random.Next(4) == 0 ? [random.Next(1, 400)] : [random.Next(1, 90), random.Next(1, 300)];
            using var fixture = new LoaderFixture(seed, ("before", DType.BF16, [7]), ("w", fileType, shape), ("x", fileType, shape));
            int? dim = random.Next(3) == 0 ? null : random.Next(shape.Length);
            IndexRange[] ranges = dim is { } cut ? [new IndexRange(0, shape[cut] / 3), new IndexRange(shape[cut] / 2, shape[cut])] : [];
            var gap = random.Next(2) * 5;
            WeightTarget[] targets = [.. new[] { "w", "x" }.Select(name =>
                OnDevice(device, fixture.Target(name, dim, runType, gap, ranges)))];

            new WeightLoader(fixture.Tensors, device, rank: 0) { ChunkBytes = chunkBytes, Threads = threads }.Load(targets);

            foreach (var target in targets)
            {
                var naive = fixture.Naive(target);
                var expected = new byte[naive.Length / fileType.SizeInBytes() * runType.SizeInBytes()];
                DTypeConversion.Convert(fileType, naive, runType, expected);
                AssertHolds(device, target.Destination, expected, $"seed {seed}, {target.Slice.Name}");
                target.Destination.Buffer.Dispose();
            }
        }
    }

    [Fact]
    public void Progress_tells_only_what_is_on_the_device()
    {
        using var device = FakeDriver.Open();
        using var fixture = new LoaderFixture(3, ("w", DType.F32, [64, 256]));
        var target = OnDevice(device, fixture.Target("w", null, DType.F32, 0));
        var expected = fixture.Naive(target);
        var onDevice = new byte[expected.Length];
        var told = new List<long>();
        new WeightLoader(fixture.Tensors, device, rank: 0) { ChunkBytes = 4096, Threads = 1 }.Load([target], progress =>
        {
            // Bytes are loaded in file order here: all that are told must be there already.
            told.Add(progress.BytesDone);
            device.CopyToHost(target.Destination.Buffer, 0, onDevice);
            Assert.True(onDevice.AsSpan(0, (int)progress.BytesDone).SequenceEqual(expected.AsSpan(0, (int)progress.BytesDone)));
        });

        Assert.Equal(65_536, told[^1]);
        Assert.True(told.Count >= 14, $"only {told.Count} reports");
    }

    [Fact]
    public void A_lane_refuses_a_copy_from_beyond_its_slot()
    {
        using var device = FakeDriver.Open();
        var target = ((IDevice)device).AllocateTensor(DType.F32, 4, 8, MemoryPurpose.Weights);
        using var lane = device.OpenUploadLane(128);
        lane.NextSlot();
        lane.Copy(0, 32, target);
        Assert.Throws<ArgumentOutOfRangeException>(() => lane.Copy(4, 32, target));
        Assert.Throws<ArgumentOutOfRangeException>(() => lane.Copy(0, 36, target));
        lane.Finish();
    }

    private static WeightTarget OnDevice(CudaDevice device, WeightTarget target) => target with
    {
        Destination = target.Destination with { Buffer = device.Allocate(target.Destination.Buffer.Bytes, MemoryPurpose.Weights) },
    };

    // The elements are there and everything between them is poison still.
    private static void AssertHolds(CudaDevice device, Tensor tensor, byte[] expected, string what)
    {
        var all = new byte[tensor.Buffer.Bytes];
        device.CopyToHost(tensor.Buffer, 0, all);
        var element = tensor.DType.SizeInBytes();
        var rowBytes = tensor.Columns * element;
        for (var row = 0; row < tensor.Rows; row++)
        {
            var place = all.AsSpan((int)tensor.OffsetBytes + (row * tensor.RowStride * element), rowBytes);
            Assert.True(place.SequenceEqual(expected.AsSpan(row * rowBytes, rowBytes)), $"{what}: row {row} differs");
            place.Fill(0xFF);
        }

        Assert.True(all.AsSpan().IndexOfAnyExcept((byte)0xFF) < 0, $"{what}: wrote between the rows");
    }
}
