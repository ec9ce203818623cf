using System.Text.RegularExpressions;
using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Coordinator.Sharding;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>Checks what a caller wants loaded and fills it up from the command line.</summary>
internal static partial class LoadArguments
{
    /// <summary>The word for models that make room while they are idle; the other kinds are for parts of one model.</summary>
    public static string OffloadModel { get; } = OffloadKindNames.NameOf(OffloadKind.Model);

    /// <summary>The arguments.</summary>
    /// <exception cref="RequestException">Something is wrong with them: all of it at once.</exception>
    /// <exception cref="FolderNotAllowedException">The folder may not be named.</exception>
    public static ModelArguments Of(ModelLoading loading, ModelArguments defaults, ModelRoots roots)
    {
        var problems = Problems(loading).ToList();
        if (problems.Count > 0)
        {
            throw new RequestException(problems);
        }

        var namesDevices = loading.Gpus is not null || loading.CpuWorkers is not null || loading.MaxMemory is not null;
        var namesPlan = loading.TpPlan is not null || loading.DeviceMap is not null;
        return defaults with
        {
            Model = roots.Resolve(loading.Folder),
            Name = loading.Name,
            Gpus = namesDevices ? loading.Gpus : defaults.Gpus,
            CpuWorkers = namesDevices ? loading.CpuWorkers : defaults.CpuWorkers,
            MaxMemory = !namesDevices ? defaults.MaxMemory : loading.MaxMemory is { } memory ? MaxMemory.Parse(memory) : null,
            DType = loading.DType ?? defaults.DType,
            TpPlan = namesPlan ? loading.TpPlan : defaults.TpPlan,
            DeviceMap = namesPlan ? loading.DeviceMap : defaults.DeviceMap,
            RandomWeights = loading.RandomWeights,
            MaxContext = loading.MaxContext ?? defaults.MaxContext,
            MaxSequences = loading.MaxSequences ?? defaults.MaxSequences,
            MaxStepTokens = loading.MaxStepTokens ?? defaults.MaxStepTokens,
            Evictable = loading.Offload is null ? defaults.Evictable : loading.Offload == OffloadModel,
            Offload = loading.Offload is not { } kind ? defaults.Offload
                : kind == OffloadModel ? new OffloadRequest()
                : new OffloadRequest(OffloadKindNames.Find(kind)),

            // Shards of another model are no use to this one; its own are found beside it.
            Shards = defaults.Shards == ShardChoice.Off ? ShardChoice.Off : ShardChoice.Auto,
        };
    }

    private static IEnumerable<string> Problems(ModelLoading loading)
    {
        if (loading.Folder.Length == 0)
        {
            yield return "The request has no folder: give the full path of a model folder.";
        }

        if (loading.Name is { } name && !ModelName().IsMatch(name))
        {
            yield return "name may have letters, digits, dots, dashes, underscores and slashes, 128 at most.";
        }

        if (loading is { Gpus: not null, CpuWorkers: not null })
        {
            yield return "gpus and cpu_workers exclude each other: give one of them.";
        }

        if (loading is { TpPlan: not null, DeviceMap: not null })
        {
            yield return "tp_plan and device_map exclude each other: give one of them.";
        }

        // On the command line these may be files; callers may not have files read.
        if (loading.TpPlan is { } plan && plan.Trim() != Protocol.Parallel.TpPlan.Auto && !IsInline(plan))
        {
            yield return "tp_plan is neither auto nor a JSON object.";
        }

        if (loading.DeviceMap is { } map && map != DeviceMapPlan.Fit && DeviceMapStrategy.Find(map) is null && !IsInline(map))
        {
            yield return $"device_map is none of {DeviceMapPlan.Fit}, {string.Join(", ", DeviceMapStrategy.All.Select(s => s.Name))}, nor a JSON object.";
        }

        if (loading.Offload is { } offload && OffloadKindNames.Find(offload) is null)
        {
            yield return $"offload is \"{offload}\": give {string.Join(", ", OffloadKindNames.All)}, or leave it out.";
        }

        (string Name, int? Value)[] numbers =
        [
            ("cpu_workers", loading.CpuWorkers), ("max_context", loading.MaxContext),
            ("max_sequences", loading.MaxSequences), ("max_step_tokens", loading.MaxStepTokens),
        ];
        foreach (var (number, value) in numbers.Where(number => number.Value < 1))
        {
            yield return $"{number} is {value}: give a number of at least 1.";
        }
    }

    private static bool IsInline(string text) => text.TrimStart().StartsWith('{');

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
    private static partial Regex ModelName();
}
