using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Measuring;

namespace TensorParallel.Worker.Session;

/// <summary>
/// One rank's loaded part of a model, joined to its peers. Created, stepped and disposed by the session's compute
/// thread alone.
/// </summary>
internal interface IRankModel : IDisposable
{
    /// <summary>Weight bytes read from the checkpoint.</summary>
    long BytesRead { get; }

    /// <summary>How the rank was set up, for the log: a line each.</summary>
    IReadOnlyList<string> Notes => [];

    /// <summary>Device memory, one entry a purpose.</summary>
    IReadOnlyList<MemoryUse> MemoryUse();

    /// <summary>The whole device's memory, and what is pinned of the host's.</summary>
    DeviceMemory DeviceMemory() => default;

    /// <summary>Counts peaks anew.</summary>
    void ResetPeaks()
    {
    }

    /// <summary>Gives back the device memory of weights and KV cache; steps may be issued again after <see cref="Restore"/>.</summary>
    MovedMemory Evict() => throw new NotSupportedException("This rank evicts nothing.");

    /// <summary>Undoes <see cref="Evict"/>; the KV cache is as fresh.</summary>
    MovedMemory Restore() => throw new NotSupportedException("This rank evicts nothing.");

    /// <summary>Measures; no step runs meanwhile. What is a collective is measured on all ranks at once.</summary>
    IReadOnlyList<Figure> Measure(MeasureRequest request) =>
        throw new NotSupportedException($"This rank measures no {request.Kind}.");

    /// <summary>
    /// Begins one step together with the other ranks. It may be done at once, or later: then further steps can be begun meanwhile.
    /// </summary>
    IPendingStep Issue(StepBatch batch);
}
