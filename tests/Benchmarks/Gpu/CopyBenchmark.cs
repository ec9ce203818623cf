using TensorParallel.Worker.Devices;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>The ceilings: copies on the device and from pageable host memory.</summary>
internal static class CopyBenchmark
{
    private const long Bytes = 1L << 30;

    public static void Run(GpuBench bench)
    {
        using var source = bench.Device.Allocate(Bytes, MemoryPurpose.Workspace);
        using var target = bench.Device.Allocate(Bytes, MemoryPurpose.Workspace);
        bench.Device.Clear(source, 0, Bytes);
        var time = bench.Microseconds(4, _ => bench.Device.Copy(source, 0, target, 0, Bytes));
        Console.WriteLine($"device copy of 1 GiB: {2 * Bytes / time / 1e6:F2} TB/s read and written");
        var host = new byte[Bytes / 4];
        Random.Shared.NextBytes(host);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        bench.Device.CopyToDevice(host, target, 0);
        bench.Device.Synchronize();
        Console.WriteLine($"host to device, one thread, 256 MiB: {host.Length / clock.Elapsed.TotalSeconds / 1e9:F1} GB/s");
    }
}
