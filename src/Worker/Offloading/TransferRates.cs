using System.Diagnostics;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Offloading;

/// <summary>How fast weights come over the bus, and how fast the host computes with them meanwhile: they share the host's memory.</summary>
/// <param name="BusBytesPerSecond">Of copies to the device.</param>
/// <param name="Host">Bytes of weights that the host multiplies with in a second, by rows.</param>
internal sealed record TransferRates(double BusBytesPerSecond, IReadOnlyList<(int Rows, double BytesPerSecond)> Host)
{
    // Long enough on a fast bus (2 GB: 40 ms) that beginnings and ends do not count.
    private const long CopiedBytes = 2L << 30;
    private const int MostCopies = 16;

    private static readonly int[] s_rows = [1, 2, 4, HostProducts.MostRows];

    /// <summary>Measures both at once, on a group of the middle; what is copied is not used.</summary>
    public static TransferRates Measure(
        HostProducts host, ICopyQueue queue, IReadOnlyList<DeviceBuffer> slots, IReadOnlyList<WeightGroup> groups)
    {
        var group = groups[groups.Count / 2];
        var copies = (int)Math.Clamp(CopiedBytes / Math.Max(1, group.UsedBytes), 1, MostCopies);
        host.Rehearse(group, HostProducts.MostRows); // code and memory are there from the second time on
        var bus = double.MaxValue;
        var rates = new List<(int, double)>();
        using var copied = queue.CreatePoint();
        foreach (var rows in s_rows)
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
