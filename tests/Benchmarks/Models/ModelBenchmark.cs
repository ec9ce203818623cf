using System.Globalization;
using TensorParallel.Benchmarks.Ops;
using TensorParallel.TestKit;

namespace TensorParallel.Benchmarks.Models;

/// <summary>
/// Prefill and decode tokens/s of a whole model: engine, control plane and real worker processes. <c>model demo</c> is the demo
/// model; <c>model 1b</c> a random checkpoint of Llama 3.2 1B's shape (2.47 GB in the temporary folder, made once and kept).
/// </summary>
internal static class ModelBenchmark
{
    /// <summary>Runs it for each number of workers (default 1 and 2); returns the exit code.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        var folder = args.FirstOrDefault() switch
        {
            "demo" => RepositoryPaths.DemoModel,
            "1b" => OneBillion(),
            _ => null,
        };
        if (folder is null)
        {
            Console.Error.WriteLine("Give demo or 1b.");
            return 2;
        }

        var workers = args.Length > 1
            ? args[1].Split(',').Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToArray()
            : [1, 2];
        Console.WriteLine(
            $"{Path.GetFileName(folder)}, bf16, {Environment.ProcessorCount} processors, load {File.ReadAllText("/proc/loadavg").Trim()}");
        Console.WriteLine("workers  read GB/s  prefill 128  prefill 512  decode tok/s  of read limit  8 at once tok/s  load s");
        foreach (var count in workers)
        {
            // Before and after: the machine's other guests come and go, and a fraction needs the rate of the same minute.
            var before = MachineBenchmark.ReadGBytes(Environment.ProcessorCount);
            var result = await ModelRates.MeasureAsync(folder, count);
            var read = Math.Max(before, MachineBenchmark.ReadGBytes(Environment.ProcessorCount));
            var limit = read * 1e9 / result.BytesPerToken;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{count,7}  {read,9:F1}  {result.Prefill128,11:F1}  {result.Prefill512,11:F1}  {result.Decode,12:F2}  "
                + $"{result.Decode / limit,13:P0}  {result.DecodeOfEight,15:F1}  {result.LoadSeconds,6:F2}"));
        }

        return 0;
    }

    private static string OneBillion()
    {
        var folder = Path.Combine(Path.GetTempPath(), "tensor-parallel-1b");
        var done = Path.Combine(folder, "complete");
        if (!File.Exists(done))
        {
            Console.Error.WriteLine($"Making the checkpoint in {folder} …");
            TinyCheckpoint.Write(folder, TinyCheckpointOptions.OneBillion);
            File.WriteAllText(done, "");
        }

        return folder;
    }
}
