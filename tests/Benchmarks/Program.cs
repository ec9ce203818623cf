using TensorParallel.Benchmarks.Gpu;
using TensorParallel.Benchmarks.Ops;

// The first argument names the benchmark; the rest are its own.
return args switch
{
    ["ops", .. var rest] => OpsBenchmark.Run(rest),
    ["gpu-ops", .. var rest] => GpuOpsCommand.Run(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: dotnet run -c Release --project tests/Benchmarks -- ops|gpu-ops [section…]");
    return 2;
}
