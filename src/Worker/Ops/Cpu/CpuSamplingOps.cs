using System.Numerics.Tensors;
using TensorParallel.Protocol.Checkpoints;
using Tensor = TensorParallel.Worker.Devices.Tensor;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// Sampling on host memory; the oracle for other devices. Used by one thread; keeps scratch rows between calls.
/// </summary>
internal sealed unsafe partial class CpuSamplingOps : ISamplingOps
{
    private float[] _adjusted = [];

    public void CountTokens(Tensor counts, Tensor ids, int firstToken, bool generated)
    {
        var row = Ints(counts, 0);
        foreach (var id in Ints(ids, 0))
        {
            Count(row, id - firstToken, generated);
        }
    }

    public void Adjust(Tensor logits, int firstToken, SamplingRows rows, int row, Tensor output) =>
        Adjusted(logits, firstToken, rows, row, Settings(rows, row)).CopyTo(Floats(output, 0));

    public void PickLogits(Tensor logits, int firstToken, Tensor tokens, Tensor output)
    {
        var target = Floats(output, 0);
        for (var row = 0; row < logits.Rows; row++)
        {
            var index = Ints(tokens, 0)[row] - firstToken;
            target[row] = index >= 0 && index < logits.Columns ? Floats(logits, row)[index] : 0;
        }
    }

    public void Commit(Tensor tokens, int firstToken, SamplingRows rows, Tensor lastTokens)
    {
        for (var row = 0; row < rows.Count; row++)
        {
            var (slot, token) = (Ints(rows.Slots, 0)[row], Ints(tokens, 0)[row]);
            if (slot < 0 || token < 0)
            {
                continue;
            }

            Ints(lastTokens, 0)[slot] = token;
            if (Settings(rows, row).HasPenalties)
            {
                Count(Ints(rows.Counts, slot), token - firstToken, generated: true);
            }
        }
    }

    private static void Count(Span<int> counts, int index, bool generated)
    {
        if (index >= 0 && index < counts.Length)
        {
            counts[index] = generated ? counts[index] + 1 : counts[index] | ISamplingOps.InPrompt;
        }
    }

    /// <summary>
    /// A row's logits after penalties: the row itself where nothing changes them, else scratch until the next call.
    /// </summary>
    private ReadOnlySpan<float> Adjusted(
        Tensor logits, int firstToken, SamplingRows rows, int row, in SlotSettings settings)
    {
        var source = Floats(logits, row);
        var bansEos = settings.BansEos(Ints(rows.Positions, 0)[row]);
        if (!settings.HasPenalties && !bansEos)
        {
            return source;
        }

        if (_adjusted.Length < source.Length)
        {
            _adjusted = new float[source.Length];
        }

        var adjusted = _adjusted.AsSpan(0, source.Length);
        source.CopyTo(adjusted);
        if (settings.HasPenalties)
        {
            Penalise(adjusted, Ints(rows.Counts, Ints(rows.Slots, 0)[row]), settings);
        }

        foreach (var id in bansEos ? settings.Eos : [])
        {
            if (id >= firstToken && id - firstToken < adjusted.Length)
            {
                adjusted[id - firstToken] = float.NegativeInfinity;
            }
        }

        return adjusted;
    }

    private static void Penalise(Span<float> logits, ReadOnlySpan<int> counts, in SlotSettings settings)
    {
        // Few of the vocabulary's tokens occur in one text, so the vectorised search for the next one does the work.
        for (var i = counts.IndexOfAnyExcept(0); i < counts.Length;)
        {
            if (i < 0)
            {
                return;
            }

            var generated = counts[i] & (ISamplingOps.InPrompt - 1);
            var x = logits[i] > 0 ? logits[i] / settings.RepetitionPenalty : logits[i] * settings.RepetitionPenalty;
            logits[i] = generated == 0 ? x : x - settings.PresencePenalty - (settings.FrequencyPenalty * generated);
            var next = counts[(i + 1)..].IndexOfAnyExcept(0);
            i = next < 0 ? counts.Length : i + 1 + next;
        }
    }

    private static bool IsPadding(SamplingRows rows, int row) => Ints(rows.Slots, 0)[row] < 0;

    private static ref readonly SlotSettings Settings(SamplingRows rows, int row)
    {
        var slot = rows.Settings.RowsAt(Ints(rows.Slots, 0)[row], 1);
        return ref *(SlotSettings*)slot.Address;
    }

    private static Span<float> Floats(Tensor tensor, int row)
    {
        CheckDType(tensor, DType.F32);
        return new Span<float>((float*)tensor.Address + ((long)row * tensor.RowStride), tensor.Columns);
    }

    private static Span<int> Ints(Tensor tensor, int row)
    {
        CheckDType(tensor, DType.I32);
        return new Span<int>((int*)tensor.Address + ((long)row * tensor.RowStride), tensor.Columns);
    }

    private static void CheckDType(Tensor tensor, DType dtype)
    {
        if (tensor.DType != dtype)
        {
            throw new ArgumentException($"Sampling needs {dtype} here, not {tensor.DType}.", nameof(tensor));
        }
    }

    /// <summary>Σ exp((x − maximum) / temperature) in doubles over chunks of floats.</summary>
    private static double SumOfExponentials(ReadOnlySpan<float> logits, float maximum, float temperature)
    {
        const int Chunk = 1024;
        Span<float> weights = stackalloc float[Chunk];
        double sum = 0;
        for (var start = 0; start < logits.Length; start += Chunk)
        {
            var part = logits[start..Math.Min(start + Chunk, logits.Length)];
            var target = weights[..part.Length];
            TensorPrimitives.Subtract(part, maximum, target);
            TensorPrimitives.Divide(target, temperature, target);
            TensorPrimitives.Exp(target, target);
            sum += TensorPrimitives.Sum<float>(target);
        }

        return sum;
    }
}
