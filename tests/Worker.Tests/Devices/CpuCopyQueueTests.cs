using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Devices;

public class CpuCopyQueueTests
{
    [Fact]
    public void Copies_run_beside_the_caller_and_are_there_when_their_point_is_reached()
    {
        using var device = new CpuDevice("cpu:0", threads: 1);
        using var queue = device.OpenCopyQueue();
        using var point = queue.CreatePoint();
        var (slot, seen) = (device.Allocate(1 << 20, MemoryPurpose.Staging), new byte[1 << 20]);
        var homes = Enumerable.Range(1, 50).Select(value => Filled(device, (byte)value)).ToList();
        foreach (var home in homes)
        {
            queue.Release(slot);
            queue.Copy(home, slot, slot.Bytes);
            point.Set();
            point.HoldDevice();
            device.CopyToHost(slot, 0, seen);
            Assert.Equal((byte)(homes.IndexOf(home) + 1), Assert.Single(seen.Distinct()));
        }

        // Points are reached in the order queued, from any thread.
        homes.ForEach(home => queue.Copy(home, slot, slot.Bytes));
        point.Set();
        var waiting = new Thread(point.Wait);
        waiting.Start();
        waiting.Join();
        device.CopyToHost(slot, 0, seen);
        Assert.Equal((byte)50, Assert.Single(seen.Distinct()));
    }

    [Fact]
    public void On_a_poisoning_device_what_nobody_waits_for_is_not_there_and_what_is_released_is_gone()
    {
        using var device = new CpuDevice("cpu:0", threads: 1, poison: true);
        using var queue = device.OpenCopyQueue();
        using var point = queue.CreatePoint();
        var (slot, home, seen) = (device.Allocate(1 << 20, MemoryPurpose.Staging), Filled(device, 7), new byte[1 << 20]);
        queue.Copy(home, slot, slot.Bytes);
        point.Set();
        device.CopyToHost(slot, 0, seen);
        Assert.Equal((byte)0xFF, Assert.Single(seen.Distinct()));
        point.HoldDevice();
        device.CopyToHost(slot, 0, seen);
        Assert.Equal((byte)7, Assert.Single(seen.Distinct()));
        queue.Release(slot);
        device.CopyToHost(slot, 0, seen);
        Assert.Equal((byte)0xFF, Assert.Single(seen.Distinct()));
    }

    private static DeviceBuffer Filled(CpuDevice device, byte value)
    {
        var buffer = ((IDevice)device).AllocateHost(1 << 20);
        device.CopyToDevice(Enumerable.Repeat(value, 1 << 20).ToArray(), buffer, 0);
        return buffer;
    }
}
