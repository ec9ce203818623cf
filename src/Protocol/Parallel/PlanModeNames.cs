namespace TensorParallel.Protocol.Parallel;

/// <summary>JSON words for <see cref="PlanMode"/>.</summary>
public static class PlanModeNames
{
    private const string TensorParallel = "tensor_parallel";
    private const string DeviceMap = "device_map";

    /// <summary>The word for a mode.</summary>
    public static string NameOf(PlanMode mode) => mode == PlanMode.TensorParallel ? TensorParallel : DeviceMap;

    /// <summary>The mode of a word; null when it is none.</summary>
    public static PlanMode? Find(string name) => name switch
    {
        TensorParallel => PlanMode.TensorParallel,
        DeviceMap => PlanMode.DeviceMap,
        _ => null,
    };
}
