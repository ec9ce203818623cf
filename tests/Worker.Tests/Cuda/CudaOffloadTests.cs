using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Offloading;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Loading;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>Weights on their way to a device whose copies, and waits between its streams, run as late as they may.</summary>
[Collection(FakeDriver.OneAtATime)]
public sealed class CudaOffloadTests
{
    private const int Bytes = 4096;

    [Fact]
    public void The_last_readers_of_a_slot_come_before_its_next_content_and_the_next_readers_after()
    {
        using var device = FakeDriver.Open();
        using var queue = device.OpenCopyQueue();
        using var point = queue.CreatePoint();
        var slot = device.Allocate(Bytes, MemoryPurpose.Staging);
        var (first, second) = (Filled(device, 1), Filled(device, 2));
        var read = Enumerable.Range(0, 6).Select(_ => device.Allocate(Bytes, MemoryPurpose.Workspace)).ToList();
        for (var round = 0; round < 6; round++)
        {
            queue.Release(slot);
            queue.Copy(round % 2 == 0 ? first : second, slot, Bytes);
            point.Set();
            point.HoldDevice();
            device.Copy(slot, 0, read[round], 0, Bytes);
        }

        // Nothing has run yet; what each round read is its own content.
        Assert.Equal([1, 2, 1, 2, 1, 2], read.Select(buffer => (int)Assert.Single(Content(device, buffer).Distinct())));
    }

    [Fact]
    public void Host_memory_is_in_the_books_and_goes_back()
    {
        using var device = FakeDriver.Open();
        using (var host = device.AllocateHost(1000))
        {
            Assert.True(host.IsHostMemory);
            Assert.True(host.Slice(100, 200).IsHostMemory);
            Assert.Equal(host.Address + 100, host.Slice(100, 200).Address);
            Assert.Throws<ArgumentOutOfRangeException>(() => host.Slice(900, 101));
            Assert.Equal(1000, Current());
        }

        Assert.Equal(0, Current());

        long Current() => device.MemoryUse().Single(use => use.Purpose == MemoryPurpose.HostWeights).Current;
    }

    [Fact]
    public void Host_memory_that_cannot_be_pinned_is_an_error_with_a_number()
    {
        using var device = FakeDriver.Open();
        var error = Assert.Throws<DeviceMemoryException>(() => device.AllocateHost(1L << 60));
        Assert.Contains("cuda:0: 1,152,921,504,606,846,976 bytes of host memory", error.Message, StringComparison.Ordinal);
        Assert.Contains("ulimit -l", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(8 << 20)]
    [InlineData(256)]
    public void Weights_are_read_straight_into_host_memory(int chunkBytes)
    {
        using var device = FakeDriver.Open();
        foreach (var (file, run) in (ReadOnlySpan<(DType, DType)>)[(DType.F32, DType.F32), (DType.F32, DType.BF16), (DType.F16, DType.F32)])
        {
            using var fixture = new LoaderFixture(5, ("w", file, [40, 60]));
            foreach (int? dim in (int?[])[null, 0, 1])
            {
                var target = fixture.Target("w", dim, run, 0, dim is null ? [] : [new IndexRange(3, 11), new IndexRange(20, 33)]);
                var home = device.AllocateHost(target.Destination.Buffer.Bytes);
                target = target with { Destination = target.Destination with { Buffer = home } };
                new WeightLoader(fixture.Tensors, device, rank: 0) { ChunkBytes = chunkBytes, Threads = 2 }.Load([target]);
                Assert.Equal(Expected(fixture, target, file, run), Host(home, target));
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Groups_are_read_from_files_again_and_again(int threads)
    {
        using var device = FakeDriver.Open();
        using var queue = device.OpenCopyQueue();
        using var free = queue.CreatePoint();
        using var fixture = new LoaderFixture(7, ("a", DType.F32, [64, 50]), ("b", DType.F32, [64, 50]));
        var slot = device.Allocate(16384, MemoryPurpose.Staging);
        using var reader = new GroupReader(fixture.Tensors, device, rank: 0, threads, chunkBytes: 1024);
        (WeightGroup Group, WeightTarget Target)[] groups = [.. new[] { "a", "b" }.Select(name =>
        {
            var group = new WeightGroup(new OffloadGroup([name], Residency.Disk, 16384), device);
            group.Assign(0, slot);
            var target = fixture.Target(name, null, DType.F32, 0);
            target = target with { Destination = target.Destination with { Buffer = group.Allocate(64 * 50 * 4) } };
            Assert.Null(group.ToLoad(target));
            reader.Prepare(group);
            return (group, target);
        })];
        for (var round = 0; round < 8; round++)
        {
            var (group, target) = groups[round % 2];
            queue.Release(slot);
            free.Set();
            reader.Begin(group, free).Wait();
            Assert.Equal(fixture.Naive(target), Content(device, slot)[..(64 * 50 * 4)]);
        }
    }

    private static DeviceBuffer Filled(CudaDevice device, byte value)
    {
        var host = device.AllocateHost(Bytes);
        Memory(host).Fill(value);
        return host;
    }

    private static unsafe Span<byte> Memory(DeviceBuffer host) => new((void*)host.Address, (int)host.Bytes);

    private static byte[] Host(DeviceBuffer home, WeightTarget target) =>
        Memory(home)[..(target.Destination.Rows * target.Destination.Columns * target.Destination.DType.SizeInBytes())].ToArray();

    private static byte[] Expected(LoaderFixture fixture, WeightTarget target, DType file, DType run)
    {
        var naive = fixture.Naive(target);
        var expected = new byte[naive.Length / file.SizeInBytes() * run.SizeInBytes()];
        DTypeConversion.Convert(file, naive, run, expected);
        return expected;
    }

    private static byte[] Content(CudaDevice device, DeviceBuffer buffer)
    {
        var content = new byte[buffer.Bytes];
        device.CopyToHost(buffer, 0, content);
        return content;
    }
}
