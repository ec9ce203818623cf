namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>What is measured beside the mode asked for.</summary>
internal enum BenchComparison
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The device map on the same devices.</summary>
    DeviceMap,

    /// <summary>The same device map, one stage at a time.</summary>
    Unpipelined,
}
