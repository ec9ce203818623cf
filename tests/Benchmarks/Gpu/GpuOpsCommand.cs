using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary><c>gpu-ops</c>: the speed of each operation on one GPU, by CUDA events around replays of captured launches.</summary>
internal static class GpuOpsCommand
{
    private static readonly Dictionary<string, Action<GpuBench>> s_sections = new()
    {
        ["copy"] = CopyBenchmark.Run,
        ["load"] = LoadBenchmark.Run,
        ["gemv"] = GemvBenchmark.Run,
        ["gemv-choices"] = GemvBenchmark.RunChoices,
        ["stream"] = GemvBenchmark.RunStream,
        ["stream-step"] = DecodeStepBenchmark.RunStreamed,
        ["decode"] = DecodeAttentionBenchmark.Run,
        ["rows"] = RowsBenchmark.Run,
        ["prefill"] = PrefillBenchmark.Run,
        ["attention"] = PrefillBenchmark.RunAttention,
        ["sampling"] = SamplingOpsBenchmark.Run,
        ["step"] = DecodeStepBenchmark.Run,
        ["fusions"] = DecodeStepBenchmark.RunFusions,
        ["carveout"] = DecodeStepBenchmark.RunCarveouts,
        ["runner"] = RunnerBenchmark.Run,
    };

    // Only by name: what writes 16 GB of memory-backed files, and what runs several sections in one.
    private static readonly string[] s_byName = ["load", "attention", "stream", "stream-step"];

    public static int Run(IReadOnlyList<string> sections)
    {
        if (CudaDriver.UnavailableReason is { } reason)
        {
            Console.Error.WriteLine(reason);
            return 1;
        }

        var unknown = sections.FirstOrDefault(s => !s_sections.ContainsKey(s));
        if (unknown is not null)
        {
            Console.Error.WriteLine($"\"{unknown}\" is none of {string.Join(", ", s_sections.Keys)}.");
            return 2;
        }

        using var device = new CudaDevice(0);
        using var ops = new CudaOps(device);
        Console.WriteLine(
            $"{device.Model}, {device.Multiprocessors} multiprocessors, NVRTC {Nvrtc.Version}, early launch " +
            $"{(device.EarlyLaunch ? "on" : "off")}, cuBLASLt {NativeLibraries.LoadedFrom(NativeLibraries.CublasLt) ?? "missing"}");
        var bench = new GpuBench(device, ops);
        foreach (var section in sections.Count > 0 ? sections : [.. s_sections.Keys.Except(s_byName)])
        {
            Console.WriteLine($"-- {section}");
            s_sections[section](bench);
        }

        Console.WriteLine($"{device.Modules.Compiled} kernels compiled. {device.Modules.DiskProblem}");
        return 0;
    }
}
