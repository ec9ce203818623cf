using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// The residual streams of a model's steps: one for all rows, or one for each half where sums over the ranks take long enough to be made
/// beside the other half's products. Owns the second order of operations.
/// </summary>
internal sealed class ResidualStreams : IDisposable
{
    /// <summary>Parts of a step that is divided.</summary>
    public const int Parts = 2;

    // Rows of a matrix product's tile.
    private const int TileRows = 128;

    private readonly ISideWork? _beside;
    private readonly int _leastRows;
    private readonly ResidualStream[] _whole;
    private readonly ResidualStream[] _halves = [];

    /// <summary>Asks the group from how many rows on halves are worth it.</summary>
    /// <param name="context">Device and peers; where operations are timed one by one, none runs beside another.</param>
    /// <param name="columns">Columns of the residual stream.</param>
    /// <param name="dtype">Dtype of activations.</param>
    public ResidualStreams(RankContext context, int columns, Protocol.Checkpoints.DType dtype)
    {
        _whole = [new ResidualStream(context)];
        if (context.Times is not null || context.Collective.RowsToHalve(columns, dtype) is not { } least)
        {
            _leastRows = int.MaxValue;
            return;
        }

        _leastRows = Math.Max(Parts, least);
        _beside = context.Device.OpenSideWork(Parts);
        _halves = [.. Enumerable.Range(0, Parts).Select(part => new ResidualStream(context, _beside, part))];
    }

    /// <summary>Whether steps are divided at all.</summary>
    public bool HalvesAny => _beside is not null;

    /// <summary>
    /// Rows of each part of a step: 2,000 are 1,024 and 976, whole tiles in the first; below the least number all are one part.
    /// </summary>
    public IReadOnlyList<int> PartsOf(int rows)
    {
        if (rows < _leastRows)
        {
            return [rows];
        }

        var first = rows / Parts;
        first = first > TileRows ? (first + TileRows - 1) / TileRows * TileRows : first;
        return [first, rows - first];
    }

    /// <summary>A pass begins: gives the stream of each part, and products leave room for what runs beside them.</summary>
    public IReadOnlyList<ResidualStream> Begin(int parts)
    {
        var streams = Of(parts);
        foreach (var stream in streams)
        {
            stream.Begin();
        }

        if (parts > 1)
        {
            _beside!.Begin();
        }

        return streams;
    }

    /// <summary>The blocks are done.</summary>
    public void End() => _beside?.End();

    /// <summary>The stream of each part.</summary>
    public IReadOnlyList<ResidualStream> Of(int parts) => parts > 1 ? _halves : _whole;

    public void Dispose() => _beside?.Dispose();
}
