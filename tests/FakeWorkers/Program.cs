using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Workers;
using TensorParallel.FakeWorkers;
using TensorParallel.Protocol.Wire;
using TensorParallel.Worker.Cli;

// A worker program without a model, for tests of processes. "hold SCRIPT" is a coordinator instead: it starts two
// workers of this very program, prints "ready" and waits to be killed.
if (args is not ["hold", var script])
{
    if (Environment.GetEnvironmentVariable("FAKE_WORKERS_NO_DEATH_SIGNAL") is not null)
    {
        Environment.SetEnvironmentVariable(WorkerEnvironment.Parent, null);
    }

    return await WorkerCommandLine.RunAsync(args, new FakeRankModelLoader());
}

var program = new WorkerProgram(Path.Combine(AppContext.BaseDirectory, "FakeWorkers.dll"));
using var launcher = new LocalLauncher(program, NullLoggerFactory.Instance);
var behaviour = FakeScript.Parse(script);
var options = FakePlans.Options(2, behaviour.Behaviour, behaviour.Rank);
var progress = new Progress<LoadProgress>(told => Console.WriteLine($"loading {told.Rank}"));
await using var group = await new WorkerGroupFactory(options, launcher, progress, NullLoggerFactory.Instance)
    .StartAsync(CancellationToken.None);
var step = group.StepAsync(FakePlans.Step(1));
Console.WriteLine("ready");
await group.Lost;
return 1;
