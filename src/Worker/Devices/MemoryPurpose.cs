namespace TensorParallel.Worker.Devices;

/// <summary>What device memory is for; reports count bytes by purpose.</summary>
internal enum MemoryPurpose
{
    /// <summary>Model weights.</summary>
    Weights,

    /// <summary>Key/value cache.</summary>
    KvCache,

    /// <summary>Activations and step inputs.</summary>
    Workspace,

    /// <summary>Buffers that weights pass through while loading.</summary>
    Staging,

    /// <summary>Temporaries of a processor's operations, which no plan counts: not within a budget.</summary>
    Scratch,
}
