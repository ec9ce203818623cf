using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;
using TensorParallel.TestKit;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Loading.Shards;
using TensorParallel.Worker.Tests.Collectives;
using TensorParallel.Worker.Tests.Execution;

namespace TensorParallel.Worker.Tests.Loading.Shards;

/// <summary>A shard set of a model, and what each rank has on its device when it is read.</summary>
internal sealed class ShardCase : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ShardCase(string model, ExecutionPlan plan, bool write = true)
    {
        (Model, Plan) = (model, plan);
        if (write)
        {
            Write();
        }
    }

    public string Model { get; }

    public ExecutionPlan Plan { get; }

    /// <summary>Folder of sets.</summary>
    public string Root => _folder.Path;

    /// <summary>The set.</summary>
    public string Set => _folder.File("set");

    /// <summary>A rank's file.</summary>
    public string FileOf(int rank) => Path.Combine(Set, ShardFolder.FileName(rank, Plan.WorldSize));

    public void Write(int threads = 2) =>
        new ShardSetWriter(Model, Plan, Set, threads).Write((_, _) => { }, CancellationToken.None);

    /// <summary>Loads every rank; what it holds, tensor by tensor, by name.</summary>
    public static Dictionary<string, byte[]>[] Load(string model, ExecutionPlan plan, string? shards)
    {
        var held = new Dictionary<string, byte[]>[plan.WorldSize];
        GroupRun.OnEachRank(plan, (context, _) =>
        {
            using var loaded = WorkerModel.Load(model, plan, context, shards: shards);
            held[context.Rank] = loaded.Weights.ToDictionary(
                target => target.Slice.Name, target => HostDevice.Bytes(target.Destination));
        });
        return held;
    }

    public void Dispose() => _folder.Dispose();
}
