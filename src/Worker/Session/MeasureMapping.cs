using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>Reads the measure command and writes its answer.</summary>
internal static class MeasureMapping
{
    /// <summary>The command as a record; throws <see cref="WireException"/> when it makes no sense.</summary>
    public static MeasureRequest ToRequest(this Measure message)
    {
        if (message.Kind == Measure.Types.Kind.Unspecified || !Enum.IsDefined(message.Kind))
        {
            throw new WireException($"The coordinator asked to measure {message.Kind}, which this worker does not know.");
        }

        return message.Sizes.FirstOrDefault(size => size is < 4 or > int.MaxValue) is not 0 and var wrong
            ? throw new WireException($"The coordinator asked to measure a message of {wrong} bytes.")
            : new MeasureRequest(message.Kind, [.. message.Sizes]);
    }

    /// <summary>The answer.</summary>
    public static WorkerEvent ToEvent(this IReadOnlyList<Measuring.Figure> figures)
    {
        var measured = new Measured();
        foreach (var figure in figures)
        {
            measured.Figures.Add(new Protocol.Wire.Workers.Figure
            {
                Name = figure.Name,
                Microseconds = figure.Microseconds,
                Bytes = figure.Bytes,
                Rows = figure.Rows,
                Count = figure.Count,
                Steps = figure.Steps,
            });
        }

        return new WorkerEvent { Measured = measured };
    }
}
