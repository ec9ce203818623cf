namespace TensorParallel.Protocol.Parallel;

/// <summary>How the model is spread over the devices.</summary>
public enum PlanMode
{
    /// <summary>Every layer is cut over all ranks; JSON <c>tensor_parallel</c>.</summary>
    TensorParallel,

    /// <summary>Whole layers, in sequence from rank to rank; JSON <c>device_map</c>.</summary>
    DeviceMap,
}
