using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Measuring;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Session;

/// <summary>Measures one rank's device and group. Owns nothing; used by the compute thread.</summary>
/// <param name="Device">The device.</param>
/// <param name="Ops">Measuring on it.</param>
/// <param name="Collective">The group.</param>
/// <param name="Activation">Dtype of what is summed over the ranks.</param>
/// <param name="Times">Times of operations; null where they are not asked for.</param>
internal sealed record RankMeasures(
    IDevice Device, IMeasuringOps Ops, ICollective Collective, DType Activation, OperationTimes? Times)
{
    /// <summary>The figures asked for.</summary>
    public IReadOnlyList<Measuring.Figure> Measure(MeasureRequest request) => request.Kind switch
    {
        Protocol.Wire.Workers.Measure.Types.Kind.ReadRate => [ReadRate.Measure(Device, Ops)],
        Protocol.Wire.Workers.Measure.Types.Kind.AllReduce =>
            AllReduceTimes.Measure(Collective, Device, Ops, Activation, request.Sizes),
        Protocol.Wire.Workers.Measure.Types.Kind.Operations => Times?.Take()
            ?? throw new NotSupportedException("This group was not started to time operations."),
        Protocol.Wire.Workers.Measure.Types.Kind.Kernels => [.. Kernels()],
        Protocol.Wire.Workers.Measure.Types.Kind.Memory => [.. Memory()],
        _ => throw new NotSupportedException($"Nothing measures {request.Kind}."),
    };

    private IEnumerable<Measuring.Figure> Memory()
    {
        foreach (var use in Device.MemoryUse())
        {
            yield return new Measuring.Figure($"{use.Purpose}", 0, use.Current);
        }

        if (Device.FreeMemoryBytes is { } free)
        {
            yield return new Measuring.Figure("free", 0, free);
        }
    }

    private IEnumerable<Measuring.Figure> Kernels()
    {
        var (loaded, compiled, duration) = Ops.KernelLoading;
        yield return new Measuring.Figure("loaded", duration.TotalMicroseconds, Count: loaded);
        yield return new Measuring.Figure("compiled", 0, Count: compiled);
    }
}
