using System.Globalization;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>Host memory that weights may take where the user has not said how much.</summary>
internal static class HostMemory
{
    private const string MemoryInfoFile = "/proc/meminfo";
    private const string AvailableLine = "MemAvailable:";

    // The rest of the machine lives too; the rule of accelerate.
    private const double UsablePart = 0.9;

    /// <summary>Refuses a plan whose weights beside the devices are more than this machine has room for.</summary>
    /// <exception cref="PlanException">With numbers.</exception>
    public static void Check(ExecutionPlan plan) => Check(plan, Available());

    /// <summary>The same against a given number of available bytes.</summary>
    internal static void Check(ExecutionPlan plan, long available)
    {
        var (wanted, usable) = (plan.Ranks.Sum(rank => rank.Offload?.HostBytes ?? 0), UsableOf(available));
        if (wanted > usable)
        {
            throw new PlanException(
                $"Off the devices weights take {ByteText.Of(wanted)} of host memory (--offload), but of this machine's nine tenths of " +
                $"what is available are {ByteText.Of(usable)}: {ByteText.Of(wanted - usable)} are missing; keep more on the devices, or " +
                "let the rest stay in files, with --max-memory …,cpu=…,disk=….");
        }
    }

    /// <summary>Bytes that weights may take of this machine's memory beside what is in use: nine tenths of what is available.</summary>
    public static long Usable() => UsableOf(Available());

    private static long UsableOf(long available) => (long)(available * UsablePart);

    // What the system could give without swapping, and no more than this process may use (a container's limit).
    private static long Available()
    {
        var limit = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (!File.Exists(MemoryInfoFile)
            || File.ReadLines(MemoryInfoFile).FirstOrDefault(line => line.StartsWith(AvailableLine, StringComparison.Ordinal)) is not { } line)
        {
            return limit;
        }

        // MemAvailable:   49382716 kB
        var kibibytes = line[AvailableLine.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        return Math.Min(limit, long.Parse(kibibytes, CultureInfo.InvariantCulture) << 10);
    }
}
