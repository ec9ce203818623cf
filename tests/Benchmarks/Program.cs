using TensorParallel.Benchmarks.Collectives;
using TensorParallel.Benchmarks.Gpu;
using TensorParallel.Benchmarks.Models;
using TensorParallel.Benchmarks.Ops;
using TensorParallel.Benchmarks.Sampling;

// The first argument names the benchmark; the rest are its own.
return args switch
{
    ["ops", .. var rest] => OpsBenchmark.Run(rest),
    ["gpu-ops", .. var rest] => GpuOpsCommand.Run(rest),
    ["load-checkpoint", var folder] => LoadCheckpoint.Make(folder),
    ["model-turns", var address, var admin, var rounds] => await ModelRounds.TurnsAsync(address, admin, rounds),
    ["model-loads", var address, var admin, var config, var rounds] => await ModelRounds.LoadsAsync(address, admin, config, rounds),
    ["hold-generation", var address, var seconds] => await HoldGeneration.RunAsync(address, seconds),
    ["gpu-allreduce", .. var rest] => GpuAllReduceCommand.Run(rest),
    ["allreduce", .. var rest] => AllReduceBenchmark.Run(rest),
    ["sampling", .. var rest] => SamplingBenchmark.Run(rest),
    ["model", .. var rest] => await ModelBenchmark.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        usage: dotnet run -c Release --project tests/Benchmarks -- BENCHMARK
          ops [section…]         CPU operations beside the machine's rates
          gpu-ops [section…]     the same on an NVIDIA GPU
          load-checkpoint DIR    a checkpoint of the 8B shape with real bytes, for loading
          model-turns GRPC ADMIN ROUNDS     generates with the served models in turns
          model-loads GRPC ADMIN CONFIG ROUNDS   loads and unloads a model of random weights
          hold-generation ADDRESS SECONDS   keeps a served model generating
          gpu-allreduce [GPUs]   sums between NVIDIA GPUs by way and size
          allreduce              shared-memory all-reduce between two ranks
          sampling               one draw from a large vocabulary
          model demo|1b [1,2]    prefill and decode through coordinator and workers, by number of workers
        """);
    return 2;
}
