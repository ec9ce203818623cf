using TensorParallel.Worker.Cli;
using TensorParallel.Worker.Session;

return await WorkerCommandLine.RunAsync(args, new RankModelLoader());
