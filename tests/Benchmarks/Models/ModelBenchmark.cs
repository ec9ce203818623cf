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
        Console.WriteLine("workers  prefill 128  prefill 512  decode tok/s  read GB/s  of read limit (range)  8 at once tok/s  load s");
        using var memory = new MemorySum(Environment.ProcessorCount);
        foreach (var count in workers)
        {
            var result = await ModelRates.MeasureAsync(folder, count, memory);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{count,7}  {result.Prefill128,11:F1}  {result.Prefill512,11:F1}  {result.Decode,12:F2}  {result.ReadGBytes,9:F1}  "
                + $"{result.OfReadLimit,7:P0} ({result.LeastOfReadLimit:P0} … {result.MostOfReadLimit:P0})  "
                + $"{result.DecodeOfEight,15:F1}  {result.LoadSeconds,6:F2}"));
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
