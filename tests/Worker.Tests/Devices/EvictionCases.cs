using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Devices;

/// <summary>Memory that is taken off a device and comes back, on a device of any kind that was opened for it, with poisoned memory.</summary>
internal static class EvictionCases
{
    private static readonly int[] s_sizes = [1, 300, 3 << 20, 17, (2 << 20) - 256, 2 << 20, 1 << 20, 5_000_001, 64];

    /// <summary>Weights come back, twice; the cache is fresh; workspace never goes; the books say so.</summary>
    /// <param name="device">The device.</param>
    /// <param name="slack">Bytes by which what is free may differ: drivers take memory for themselves.</param>
    public static void ContentsComeBack(IDevice device, long slack = 0)
    {
        var weights = s_sizes.Select(bytes => device.Allocate(bytes, MemoryPurpose.Weights)).ToList();
        var cache = device.Allocate(3_000_000, MemoryPurpose.KvCache);
        var workspace = device.Allocate(1000, MemoryPurpose.Workspace);
        var contents = weights.Select((buffer, i) => Fill(device, buffer, i)).ToList();
        var kept = Fill(device, workspace, 77);
        Fill(device, cache, 78);
        var free = device.Memory().Free;
        var all = s_sizes.Sum() + 3_000_000L;

        for (var round = 0; round < 3; round++)
        {
            var evicted = device.Evict();
            Assert.Equal(all, evicted.Device);
            Assert.True(device.Memory().Free >= free + all - slack, $"{device.Memory().Free:N0} bytes are free of {free:N0} and {all:N0}");
            Assert.Equal([(MemoryPurpose.Workspace, 1000L)], device.MemoryUse().Where(use => use.Current > 0).Select(use => (use.Purpose, use.Current)));
            Assert.Throws<InvalidOperationException>(() => device.Clear(cache, 0, 1));
            Assert.Equal(kept, Read(device, workspace));

            var restored = device.Restore();
            Assert.Equal(new MovedMemory(all, s_sizes.Sum()), restored with { Copied = Math.Min(restored.Copied, s_sizes.Sum()) });
            Assert.InRange(device.Memory().Free, free - slack, free + slack);
            Assert.All(weights.Zip(contents), pair => Assert.Equal(pair.Second, Read(device, pair.First)));
            Assert.All(Read(device, cache), value => Assert.Equal(0xFF, value));
        }

        Assert.Equal([s_sizes.Sum(), 3_000_000, 1000], device.MemoryUse().Select(use => use.Peak).Where(peak => peak > 0));
        weights.ForEach(buffer => buffer.Dispose());
        device.Evict();
        Assert.Equal(0, device.MemoryUse()[0].Current);
        cache.Dispose();
        workspace.Dispose();
        Assert.All(device.MemoryUse(), use => Assert.Equal(0, use.Current));
        device.ResetPeaks();
        Assert.All(device.MemoryUse(), use => Assert.Equal(0, use.Peak));

        // Once all is freed, the memory is there again.
        device.Allocate(2_000_000, MemoryPurpose.KvCache).Dispose();
        Assert.Equal(new MovedMemory(0, 0), device.Evict());
        device.Restore();
    }

    private static byte[] Fill(IDevice device, DeviceBuffer buffer, int seed)
    {
        var bytes = new byte[buffer.Bytes];
        new Random(seed).NextBytes(bytes);
        device.CopyToDevice(bytes, buffer, 0);
        return bytes;
    }

    private static byte[] Read(IDevice device, DeviceBuffer buffer)
    {
        var bytes = new byte[buffer.Bytes];
        device.CopyToHost(buffer, 0, bytes);
        return bytes;
    }
}
