using System.Diagnostics;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Makes this rank's parts of a model's weights on the device instead of reading them: matrices as a model is initialised (mean 0, a
/// small deviation), norms 1, biases 0, so that activations keep their size through any number of layers. The same tensors come out
/// whatever the cut.
/// </summary>
/// <param name="ops">Fills tensors.</param>
/// <param name="device">Owner of the destinations.</param>
/// <param name="deviation">Standard deviation of matrices.</param>
internal sealed class RandomWeights(IMeasuringOps ops, IDevice device, float deviation)
{
    /// <summary>Deviation where the configuration names none: transformers' own default.</summary>
    public const double DefaultDeviation = 0.02;

    // The checkpoints' own convention: every other vector is a norm's weight.
    private const string BiasSuffix = ".bias";

    /// <summary>Fills all targets; returns when they are on the device. Nothing is read.</summary>
    /// <param name="targets">Disjoint destinations.</param>
    /// <param name="progress">Called after each target with rising numbers; the last call says all is done.</param>
    public LoadReport Load(IReadOnlyList<WeightTarget> targets, Action<LoadProgress>? progress = null)
    {
        var began = Stopwatch.GetTimestamp();
        var total = targets.Sum(Bytes);
        var done = 0L;
        foreach (var target in targets)
        {
            Fill(target);
            done += Bytes(target);
            if (done == total)
            {
                device.Synchronize();
            }

            progress?.Invoke(new LoadProgress(done, total));
        }

        device.Synchronize();
        return new LoadReport(OwnedBytes: 0, BytesRead: 0, Files: 0, began, Stopwatch.GetElapsedTime(began));
    }

    private static long Bytes(WeightTarget target) =>
        (long)target.Destination.Rows * target.Destination.Columns
        * Protocol.Checkpoints.DTypes.SizeInBytes(target.Destination.DType);

    private void Fill(WeightTarget target)
    {
        // A vector is one row whose columns are cut by dimension 0.
        var isVector = target.FullShape.Count == 1;
        var fullColumns = target.FullShape[^1];
        var cutsColumns = target.Slice.Dim is { } dim && (isVector || dim == 1);
        var whole = new IndexRange(0, isVector ? 1 : target.FullShape[0]);
        var (mean, spread) = !isVector ? (0f, deviation)
            : target.Slice.Name.EndsWith(BiasSuffix, StringComparison.Ordinal) ? (0f, 0f)
            : (1f, 0f);
        var key = RandomFill.KeyOf(target.Slice.Name);
        var done = 0;
        foreach (var range in target.Slice.Dim is null ? [whole] : target.Slice.Ranges)
        {
            var place = cutsColumns
                ? target.Destination.ColumnsAt(done, range.Length)
                : target.Destination.RowsAt(done, range.Length);
            var (row, column) = cutsColumns ? (0, range.Start) : (range.Start, 0);
            ops.FillRandom(place, new RandomFill(key, row, column, fullColumns, mean, spread));
            done += range.Length;
        }
    }
}
