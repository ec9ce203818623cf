using System.Globalization;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>A control group with a memory limit, for a process and all that it starts. Disposing it removes it; its processes must have ended.</summary>
internal sealed class MemoryLimit : IDisposable
{
    private readonly string _folder;
    private readonly string _peakFile;

    private MemoryLimit(string folder, long bytes, string peakFile)
    {
        (_folder, Bytes) = (folder, bytes);
        _peakFile = Path.Combine(folder, peakFile);
    }

    /// <summary>The limit.</summary>
    public long Bytes { get; }

    /// <summary>Most that was used at one time, pages of files that were not given back included.</summary>
    public long PeakBytes => long.Parse(File.ReadAllText(_peakFile), CultureInfo.InvariantCulture);

    /// <summary>A new group; null where this machine or user makes none.</summary>
    public static MemoryLimit? Create(long bytes, out string? unavailable)
    {
        // The two generations of the kernel's interface.
        (string Root, string LimitFile, string PeakFile)[] kinds =
        [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
            ("/sys/fs/cgroup", "memory.max", "memory.peak"),
        ];
        unavailable = "There is no control group for memory that this user may limit.";
        foreach (var (root, limitFile, peakFile) in kinds)
        {
            var folder = Path.Combine(root, $"tensor-parallel-test-{Environment.ProcessId}");
            try
            {
                if (!Directory.Exists(root))
                {
                    continue;
                }

                Directory.CreateDirectory(folder);
                if (File.Exists(Path.Combine(folder, limitFile)) && File.Exists(Path.Combine(folder, peakFile)))
                {
                    File.WriteAllText(Path.Combine(folder, limitFile), bytes.ToString(CultureInfo.InvariantCulture));
                    return new MemoryLimit(folder, bytes, peakFile);
                }

                Directory.Delete(folder);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                unavailable = $"{folder}: {e.Message}";
            }
        }

        return null;
    }

    /// <summary>Puts a process into the group: what it starts from now on is in it, too.</summary>
    public void Take(int processId) =>
        File.WriteAllText(Path.Combine(_folder, "cgroup.procs"), processId.ToString(CultureInfo.InvariantCulture));

    public void Dispose() => Directory.Delete(_folder);
}
