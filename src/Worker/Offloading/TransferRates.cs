using System.Diagnostics;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Offloading;

/// <summary>How fast weights come over the bus, and how fast the host computes with them meanwhile: they share the host's memory.</summary>
/// <param name="BusBytesPerSecond">Of copies to the device.</param>
/// <param name="Host">Bytes of weights that the host multiplies with in a second, by rows.</param>
internal sealed record TransferRates(double BusBytesPerSecond, IReadOnlyList<(int Rows, double BytesPerSecond)> Host)
{
    // Long enough on a fast bus (1 GB: 20 ms) that beginnings and ends do not count.
    private const long CopiedBytes = 1L << 30;
    private const int MostCopies = 16;

    private static readonly int[] s_rows = [1, 2, 4, HostProducts.MostRows];

    /// <summary>
    /// Bytes a second that come over the bus, and that the device's memory is read at: half of what a copy inside it reads and writes.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <param name="queue">Copies to it.</param>
    /// <param name="slots">At least two, of equal size.</param>
    /// <param name="source">Host memory, whatever it holds.</param>
    public static (double Bus, double Device) OfDevice(
        IDevice device, ICopyQueue queue, IReadOnlyList<DeviceBuffer> slots, DeviceBuffer source)
    {
        using var copied = queue.CreatePoint();
        var bytes = Math.Min(source.Bytes, slots[0].Bytes);
        queue.Release(slots[0]);
        var bus = Best(() =>
        {
            queue.Copy(source, slots[0], bytes);
            copied.Set();
            copied.Wait();
        });
        var inside = Best(() =>
        {
            device.Copy(slots[0], 0, slots[1], 0, slots[0].Bytes);
            device.Synchronize();
        });
        return (bytes / bus, 2 * slots[0].Bytes / inside);

        static double Best(Action copy) => Enumerable.Range(0, 3).Min(_ =>
        {
            var began = Stopwatch.GetTimestamp();
            copy();
            return Math.Max(1e-9, Stopwatch.GetElapsedTime(began).TotalSeconds);
        });
    }

    /// <summary>
    /// Measures both at once, on a group of the middle; what is copied is not used. Without <paramref name="host"/>: the bus alone.
    /// </summary>
    public static TransferRates Measure(
        HostProducts? host, ICopyQueue queue, IReadOnlyList<DeviceBuffer> slots, IReadOnlyList<WeightGroup> groups)
    {
        var group = groups[groups.Count / 2];
        var copies = (int)Math.Clamp(CopiedBytes / Math.Max(1, group.UsedBytes), 1, MostCopies);
        host?.Rehearse(group, HostProducts.MostRows); // code and memory are there from the second time on
        var bus = double.MaxValue;
        var rates = new List<(int, double)>();
        using var copied = queue.CreatePoint();
        foreach (var rows in host is null ? [1] : s_rows)
        {
            queue.Release(slots[group.SlotNumber]);
            var began = Stopwatch.GetTimestamp();
            for (var copy = 0; copy < copies; copy++)
            {
                queue.Copy(group.Home!, slots[group.SlotNumber], group.UsedBytes);
            }

            copied.Set();
            var end = Task.Run(() =>
            {
                copied.Wait();
                return Stopwatch.GetElapsedTime(began);
            });
            if (host is null)
            {
                bus = copies * group.UsedBytes / end.Result.TotalSeconds;
                break;
            }

            var products = 0;
            do
            {
                host.Rehearse(group, rows);
                products++;
            }
            while (!end.IsCompleted);

            var elapsed = Stopwatch.GetElapsedTime(began);
            bus = Math.Min(bus, copies * group.UsedBytes / end.Result.TotalSeconds);
            rates.Add((rows, products * group.UsedBytes / elapsed.TotalSeconds));
        }

        return new TransferRates(bus, rates);
    }
}
