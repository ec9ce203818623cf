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

    /// <summary>Slots that weights come to for each use, where they are off the device.</summary>
    Staging,

    /// <summary>Weights that are off the device, in host memory: no memory of a device that has its own.</summary>
    HostWeights,

    /// <summary>
    /// What operations, samplers and collectives keep for themselves: on GPUs the plan's <c>DeviceScratch</c>; temporaries of a processor's
    /// operations are in no plan and not within a budget.
    /// </summary>
    Scratch,
}
