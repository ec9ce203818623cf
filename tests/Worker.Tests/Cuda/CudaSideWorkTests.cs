using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>Work beside a device's own order, whose streams run as late as they may.</summary>
[Collection(FakeDriver.OneAtATime)]
public sealed class CudaSideWorkTests
{
    private const int Bytes = 1024;

    [Fact]
    public void What_runs_beside_comes_after_its_point_and_before_who_awaits_it()
    {
        using var device = FakeDriver.Open();
        using var beside = device.OpenSideWork(parts: 2);
        DeviceBuffer[] deltas = [Filled(0), Filled(0)];
        DeviceBuffer[] sums = [Filled(0), Filled(0)];
        var seen = Enumerable.Range(0, 12).Select(_ => device.Allocate(Bytes, MemoryPurpose.Workspace)).ToList();
        for (var round = 0; round < 6; round++)
        {
            for (var part = 0; part < 2; part++)
            {
                var filled = Filled((byte)(1 + (2 * round) + part));
                device.Copy(filled, 0, deltas[part], 0, Bytes);
                beside.Note(part);
            }

            for (var part = 0; part < 2; part++)
            {
                var (from, to) = (deltas[part], sums[part]);
                beside.Run(part, () => device.Copy(from, 0, to, 0, Bytes));
                beside.Await(part);
                device.Copy(sums[part], 0, seen[(2 * round) + part], 0, Bytes);
            }
        }

        // Nothing need have run until now.
        Assert.Equal(Enumerable.Range(1, 12), seen.Select(buffer => (int)Assert.Single(Content(buffer).Distinct())));

        DeviceBuffer Filled(byte value)
        {
            var buffer = device.Allocate(Bytes, MemoryPurpose.Workspace);
            device.CopyToDevice(Enumerable.Repeat(value, Bytes).ToArray(), buffer, 0);
            return buffer;
        }

        byte[] Content(DeviceBuffer buffer)
        {
            var content = new byte[Bytes];
            device.CopyToHost(buffer, 0, content);
            return content;
        }
    }

    [Fact]
    public void Operations_go_beside_only_inside_and_products_leave_room_only_between()
    {
        using var device = FakeDriver.Open();
        using var beside = device.OpenSideWork(parts: 1);
        var own = device.Stream;
        beside.Note(0);
        Assert.Throws<InvalidOperationException>(() => beside.Run(0, () =>
        {
            Assert.True(device.IsBeside);
            Assert.NotEqual(own, device.Stream);
            throw new InvalidOperationException();
        }));

        Assert.False(device.IsBeside);
        Assert.Equal(own, device.Stream);
        Assert.Equal(0, device.SparedMultiprocessors);
        beside.Begin();
        Assert.InRange(device.SparedMultiprocessors, 1, device.Multiprocessors - 1);
        beside.End();
        Assert.Equal(0, device.SparedMultiprocessors);
    }
}
