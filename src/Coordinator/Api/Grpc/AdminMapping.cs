using System.Diagnostics;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Wire = TensorParallel.Protocol.Wire.Admin;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>The messages of the admin service and the records they stand for.</summary>
internal static class AdminMapping
{
    /// <summary>What is to be loaded, unchecked.</summary>
    public static ModelLoading ToLoading(Wire.LoadModelRequest request) => new(request.Folder)
    {
        Name = Given(request.Name),
        Gpus = request.Gpus.Count > 0 ? [.. request.Gpus] : null,
        CpuWorkers = Given(request.CpuWorkers),
        MaxMemory = Given(request.MaxMemory),
        DType = Given(request.Dtype),
        TpPlan = Given(request.TpPlan),
        DeviceMap = Given(request.DeviceMap),
        RandomWeights = request.RandomWeights,
        MaxContext = Given(request.MaxContext),
        MaxSequences = Given(request.MaxSequences),
        MaxStepTokens = Given(request.MaxStepTokens),
        Offload = Given(request.Offload),
    };

    /// <summary>A model's state.</summary>
    public static Wire.ModelStatus ToMessage(ModelReport report)
    {
        var (name, _, plan, _) = report.Info;
        var status = new Wire.ModelStatus
        {
            Name = name,
            Folder = report.Folder,
            State = report.State,
            Place = report.Place,
            Mode = PlanModeNames.NameOf(plan.Mode),
            Dtype = plan.DType.HuggingFaceName(),
            Devices = { plan.Ranks.Select(rank => rank.Device) },
            WeightBytes = plan.Ranks.Sum(rank => rank.WeightBytes),
            KvBytes = plan.Ranks.Sum(rank => rank.KvBytes),
            WorkspaceBytes = plan.Ranks.Sum(rank => rank.WorkspaceBytes),
            MaxContextTokens = plan.Limits.MaxContextTokens,
            Running = report.Statistics.Running,
            Waiting = report.Statistics.Waiting,
            Evictable = report.IsEvictable,
            Evictions = report.Evictions,
        };
        status.LastEviction = report.LastEviction is { } eviction ? ToMessage(eviction) : null;
        status.LastRestore = report.LastRestore is { } restore ? ToMessage(restore) : null;
        return status;
    }

    /// <summary>Memory of models, of the devices they use, and of this process.</summary>
    public static Wire.GetMemoryResponse ToMessage(IReadOnlyList<ModelMemoryReport> models)
    {
        using var process = Process.GetCurrentProcess();
        var response = new Wire.GetMemoryResponse
        {
            Models = { models.Select(ToMessage) },
            Server = new Wire.ServerMemory
            {
                ResidentBytes = process.WorkingSet64,
                ManagedBytes = GC.GetTotalMemory(forceFullCollection: false),
                Threads = process.Threads.Count,
            },
        };

        // Ranks of several models may use one device: the one asked last knows best.
        foreach (var ranks in models.SelectMany(model => model.Ranks).GroupBy(rank => rank.Device))
        {
            response.Devices.Add(new Wire.DeviceMemory
            {
                Device = ranks.Key,
                TotalBytes = ranks.Last().DeviceTotal,
                FreeBytes = ranks.Last().DeviceFree,
            });
        }

        return response;
    }

    private static Wire.ModelMemory ToMessage(ModelMemoryReport model) => new()
    {
        Model = model.Name,
        Problem = model.Problem ?? string.Empty,
        Ranks = { model.Ranks.Select(ToMessage) },
    };

    private static Wire.RankMemory ToMessage(RankMemoryState rank) => new()
    {
        Rank = rank.Rank,
        Device = rank.Device,
        Purposes =
        {
            rank.Uses.Select(use => new Wire.PurposeMemory
            {
                Purpose = use.Purpose,
                CurrentBytes = use.CurrentBytes,
                PeakBytes = use.PeakBytes,
            }),
        },
        PinnedBytes = rank.Pinned,
        ResidentBytes = rank.Resident,
        PeakResidentBytes = rank.PeakResident,
        Evicted = rank.IsEvicted,
    };

    private static Wire.ModelMove ToMessage(MoveSummary move) => new()
    {
        Milliseconds = move.Elapsed.TotalMilliseconds,
        DeviceBytes = move.DeviceBytes,
        CopiedBytes = move.CopiedBytes,
    };

    private static string? Given(string text) => text.Length > 0 ? text : null;

    private static int? Given(int number) => number != 0 ? number : null;
}
