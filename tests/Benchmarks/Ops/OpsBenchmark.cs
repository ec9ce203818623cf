using TensorParallel.Worker.Ops.Cpu;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>
/// Rates of the CPU operations beside what the machine can do: read bandwidth for decode, multiply-adds for prefill.
/// </summary>
internal static class OpsBenchmark
{
    private static readonly (string Name, Action<int> Run)[] s_sections =
    [
        ("machine", MachineBenchmark.Run),
        ("decode", MatMulBenchmark.RunDecode),
        ("batch", MatMulBenchmark.RunBatch),
        ("prefill", MatMulBenchmark.RunPrefill),
        ("attention", AttentionBenchmark.Run),
    ];

    /// <summary>
    /// Runs the named sections, all without names. A number among the names sets the threads (default: 1 and 2).
    /// </summary>
    public static int Run(string[] args)
    {
        var threads = args.Where(a => int.TryParse(a, out _)).Select(int.Parse).DefaultIfEmpty(0).First();
        var names = args.Where(a => !int.TryParse(a, out _)).ToArray();
        var unknown = names.Except(s_sections.Select(s => s.Name)).ToArray();
        if (unknown.Length > 0)
        {
            Console.Error.WriteLine(
                $"No section {unknown[0]}; there are {string.Join(", ", s_sections.Select(s => s.Name))}.");
            return 2;
        }

        Console.WriteLine(
            $"{Environment.ProcessorCount} processors, {(int)CpuKernels.WidestVectors}-bit vectors, " +
            $"load {File.ReadAllText("/proc/loadavg").Trim()}");
        foreach (var count in threads > 0 ? [threads] : (int[])[1, 2])
        {
            foreach (var (name, run) in s_sections.Where(s => names.Length == 0 || names.Contains(s.Name)))
            {
                Console.WriteLine($"\n{name}, {count} thread{(count == 1 ? "" : "s")}");
                run(count);
            }
        }

        return 0;
    }
}
