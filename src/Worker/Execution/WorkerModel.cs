using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.KvCache;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Loading.Shards;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Offloading;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// One rank of a loaded model, ready for steps. Owns all device memory it allocated: after Dispose the device is back
/// where it was. Used by one thread; device, operations and collective stay the caller's.
/// </summary>
internal sealed class WorkerModel : IDisposable
{
    private readonly List<IDisposable> _owned;
    private bool _waits;

    /// <summary>Fills the targets, from wherever weights come.</summary>
    private delegate LoadReport LoadWeights(IReadOnlyList<WeightTarget> targets, Action<LoadProgress>? progress);

    private WorkerModel(
        ModelRunner runner, LoadReport report, IReadOnlyList<WeightTarget> weights, List<IDisposable> owned)
    {
        Weights = weights;
        Runner = runner;
        LoadReport = report;
        _owned = owned;
    }

    /// <summary>Executes steps.</summary>
    public ModelRunner Runner { get; }

    /// <summary>What this rank holds of each tensor, and where it lies.</summary>
    public IReadOnlyList<WeightTarget> Weights { get; }

    /// <summary>What loading took.</summary>
    public LoadReport LoadReport { get; }

    /// <summary>How weights that are off the device come to it, for the log: a line each.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    /// <summary>
    /// Allocates what the plan says for this rank, loads its weights and wires its modules. Makes no collective call.
    /// On failure nothing stays allocated.
    /// </summary>
    /// <param name="folder">Model folder; for random weights it may be a bare <c>config.json</c>.</param>
    /// <param name="plan">The plan, made for this folder.</param>
    /// <param name="context">This rank's device, operations and peers.</param>
    /// <param name="progress">See <see cref="WeightLoader.Load"/>.</param>
    /// <param name="randomWeights">Makes the weights instead of reading them; null: they are read.</param>
    /// <param name="loadThreads">Threads that read weights.</param>
    /// <param name="shards">Folder of a shard set that is read instead of the checkpoint's own files; null: those.</param>
    /// <param name="offload">How weights that are off the device are used; null: as the environment says.</param>
    /// <exception cref="CheckpointException">
    /// The folder cannot be read, or does not hold what the plan needs.
    /// </exception>
    /// <exception cref="PlanException">The plan does not fit the model or this group of ranks.</exception>
    public static WorkerModel Load(
        string folder,
        ExecutionPlan plan,
        RankContext context,
        Action<LoadProgress>? progress = null,
        IMeasuringOps? randomWeights = null,
        int loadThreads = WeightLoader.DefaultThreads,
        string? shards = null,
        OffloadOptions? offload = null)
    {
        CheckPlan(plan, context);
        var (spec, load, tensors) = randomWeights is not null ? FromConfig(folder, context, randomWeights)
            : shards is not null ? FromShards(folder, shards, plan, context, loadThreads)
            : FromCheckpoint(folder, context, loadThreads);
        var slices = new PlanSlices(spec, plan, context.Rank);
        var owned = new List<IDisposable>();
        try
        {
            var rank = slices.Rank;
            var activation = context.Ops.ActivationDType(plan.DType);
            var workspace = WorkspaceBuffers.For(spec, rank, plan.Limits, activation);
            var buffers = Own(new StepBuffers(context.Device, workspace));
            var cache = Own(KvCacheCatalog.Create(KvCacheCatalog.Paged, CacheShape(spec, slices), context.Device));
            CheckBytes(rank, "KV cache", cache.Bytes, rank.KvBytes);
            var memory = new ModuleMemory(cache, RopeTableOf(spec, buffers, context));
            var format = WeightFormatCatalog.Get(DenseFormat.FormatName);
            var offloaded = rank.Offload is { Modules.Count: > 0 }
                ? Own(new OffloadedWeights(
                    spec, plan, context, tensors, offload ?? new OffloadOptions { Threads = loadThreads }))
                : null;
            var built = ModuleBuilder.Build(spec, slices, context, format, memory, offloaded);
            var model = Own(built.Model);
            ProductRehearsal.Run(context, built.Model, buffers, plan.Limits);
            var report = load(built.Targets, progress);
            offloaded?.Begin();
            var head = model.Head is { } cut ? Own(new HeadRunner(context, model, cut, buffers, plan.Limits)) : null;
            var slots = new SlotTable(plan.Limits, spec.VocabularySize);
            var pipeline = PipelinePosition.Of(plan, context.Rank);

            // Ranks that record and ranks that do not would issue steps of different shapes.
            var records = context.RecordsSteps && !plan.Ranks.Any(other => OffloadedWeights.Interrupts(spec, other));
            var decodeSteps = Own(records ? context.Device.RepeatWork() : new ImmediateWork());
            var runner = new ModelRunner(context, model, buffers, slots, plan.Limits, head, pipeline, decodeSteps);
            return new WorkerModel(runner, report, built.Weights, owned)
            {
                Notes = offloaded?.Notes ?? [],
                _waits = offloaded?.HoldsUpIssue ?? false,
            };
        }
        catch
        {
            Free(owned);
            throw;
        }

        T Own<T>(T item)
            where T : IDisposable
        {
            owned.Add(item);
            return item;
        }
    }

    /// <summary>
    /// Gives one step to the device; see <see cref="ModelRunner.Issue"/>. Where that takes as long as the step itself, because weights are
    /// waited for or multiplied with on the way, the step is done when this returns: else its tokens would be told a step later.
    /// </summary>
    public IPendingStep Issue(StepBatch batch)
    {
        var step = Runner.Issue(batch);
        if (_waits)
        {
            step.Wait();
        }

        return step;
    }

    /// <summary>Executes one step; see <see cref="ModelRunner.Step"/>.</summary>
    public StepResult Step(StepBatch batch) => Runner.Step(batch);

    public void Dispose() => Free(_owned);

    private static (ModelSpec Spec, LoadWeights Load, IReadOnlyDictionary<string, TensorInfo>? Tensors) FromCheckpoint(
        string folder, RankContext context, int threads)
    {
        var checkpoint = Checkpoint.Open(folder);
        var spec = ArchitectureCatalog.Describe(checkpoint.Config);
        var tensors = ModelSpecTensors.Locate(spec, checkpoint);
        return (spec, new WeightLoader(tensors, context.Device, context.Rank) { Threads = threads }.Load, tensors);
    }

    // Weights that are read for every use come from the checkpoint's own files.
    private static (ModelSpec Spec, LoadWeights Load, IReadOnlyDictionary<string, TensorInfo>? Tensors) FromShards(
        string folder, string shards, ExecutionPlan plan, RankContext context, int threads)
    {
        var checkpoint = Checkpoint.Open(folder);
        var spec = ArchitectureCatalog.Describe(checkpoint.Config);
        var weights = ShardWeights.Open(shards, plan, context.Rank);
        var loader = new WeightLoader(weights.Tensors, context.Device, context.Rank)
        {
            Threads = threads,
            ChunkBytes = weights.PieceBytes,
            Check = weights,
        };
        return (spec, (targets, progress) => loader.Load([.. targets.Select(ShardWeights.Whole)], progress), ModelSpecTensors.Locate(spec, checkpoint));
    }

    private static (ModelSpec Spec, LoadWeights Load, IReadOnlyDictionary<string, TensorInfo>? Tensors) FromConfig(
        string path, RankContext context, IMeasuringOps ops)
    {
        var config = ModelConfig.Load(Directory.Exists(path) ? Path.Combine(path, Checkpoint.ConfigFileName) : path);
        var deviation = config.PositiveDoubleOr("initializer_range", RandomWeights.DefaultDeviation);
        return (ArchitectureCatalog.Describe(config), new RandomWeights(ops, context.Device, (float)deviation).Load, null);
    }

    private static KvCacheShape CacheShape(ModelSpec spec, PlanSlices slices)
    {
        var (limits, layers) = (slices.Plan.Limits, slices.Rank.Layers);
        return new KvCacheShape(
            slices.Plan.DType,
            limits.KvBlocks,
            limits.KvBlockTokens,
            layers.Start,
            [.. spec.Blocks.Skip(layers.Start).Take(layers.Length).Select(block => new KvLayerShape(
                BlockLayout.Of(block, slices.OfRank).KeyValueHeads.Length, block.Attention.HeadDim))]);
    }

    private static Tensor? RopeTableOf(ModelSpec spec, StepBuffers buffers, RankContext context)
    {
        if (buffers.Find(WorkspaceBuffers.RopeCosSin) is not { } table)
        {
            return null;
        }

        RopeTable.Fill(RopeTable.CommonRope(spec), table, context.Device);
        return table;
    }

    private static void CheckPlan(ExecutionPlan plan, RankContext context)
    {
        var size = context.Collective.Size;
        if (plan.WorldSize != size || plan.Ranks.Count != size || context.Size != size)
        {
            throw new PlanException(
                $"The plan is for {plan.WorldSize} ranks with {plan.Ranks.Count} entries, but the group has {size}.");
        }
    }

    private static void CheckBytes(RankPlan rank, string what, long allocated, long planned)
    {
        if (allocated != planned)
        {
            throw new PlanException(
                $"Rank {rank.Rank} needs {allocated} bytes for its {what}, but the plan counts {planned}: make the " +
                "plan anew with this version.");
        }
    }

    // Last made, first freed.
    private static void Free(List<IDisposable> owned)
    {
        IDisposable[] all = [.. owned.AsEnumerable().Reverse()];
        owned.Clear();
        Disposal.Of(all);
    }
}
