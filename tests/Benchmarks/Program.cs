using TensorParallel.Benchmarks.Gpu;

return args switch
{
    ["gpu-ops", .. var rest] => GpuOpsCommand.Run(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("Usage: Benchmarks gpu-ops [copy|gemv|decode|rows|prefill|step ...]   (default: all of them)");
    return 2;
}
