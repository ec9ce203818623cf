using System.Numerics;
using System.Numerics.Tensors;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// The noise of sampling. Token <c>id</c> at <c>position</c> with <c>seed</c> has w, word <c>id mod 4</c> of
/// Philox4x32-10 with counter (id / 4, position, 0, 0) and key (low, high half of the seed); u = (w + ½) / 2³² lies in
/// (0, 1); g = −ln(−ln u) is standard Gumbel noise, −3.13 … 22.88. The token with the largest score x / temperature + g
/// is a draw from softmax(x / temperature): no sum over the vocabulary, and the cut of the vocabulary does not enter.
/// Scores are doubles; of equal ones the lowest id wins. Example: seed 0, position 0, token 0: w = 0x6627E8D5, u =
/// 0.39905, g = 0.08482.
/// </summary>
internal static class GumbelNoise
{
    private const int ChunkTokens = 1024;

    /// <summary>No noise is larger: −ln(−ln(1 − 2⁻³³)) = 22.874.</summary>
    private const float Largest = 22.88f;

    /// <summary>Above the rounding of what is compared, some 10⁻⁵ for a token that may win.</summary>
    private const double Margin = 1e-3;

    /// <summary>Score of one token.</summary>
    public static double Score(float logit, int id, int position, in SlotSettings settings)
    {
        var words = Philox4x32.Block((uint)id >> 2, (uint)position, 0, 0, settings.SeedLow, settings.SeedHigh);
        var word = (id & 3) switch { 0 => words.X0, 1 => words.X1, 2 => words.X2, _ => words.X3 };
        return ((double)logit / settings.Temperature) - Math.Log(-Math.Log((word + 0.5) * (1.0 / 4294967296.0)));
    }

    /// <summary>
    /// Token with the largest score of a range of the vocabulary; id −1 where there is none above −infinity.
    /// </summary>
    /// <remarks>
    /// A token beats the best score b so far only if E = −ln u &lt; exp(x / temperature − b), and E ≥ 1 − u. So whole
    /// vectors are compared by 1 − u, which needs no logarithm, with a margin for the rounding of floats; about one
    /// token in a row passes by chance, and those few get their exact scores.
    /// </remarks>
    public static (
        int Id, double Score) Best(ReadOnlySpan<float> logits, int firstToken, int position, in SlotSettings settings)
    {
        var largest = logits.IsEmpty ? -1 : TensorPrimitives.IndexOfMax(logits);
        if (largest < 0 || float.IsNegativeInfinity(logits[largest]))
        {
            return (-1, double.NegativeInfinity);
        }

        Span<uint> words = stackalloc uint[ChunkTokens];
        Span<float> bounds = stackalloc float[ChunkTokens];
        var best = (Id: firstToken + largest, Score: Score(logits[largest], firstToken + largest, position, settings));
        var end = firstToken + logits.Length;
        for (var chunk = firstToken / ChunkTokens * ChunkTokens; chunk < end; chunk += ChunkTokens)
        {
            var from = Math.Max(chunk, firstToken);
            var part = logits[(from - firstToken)..(Math.Min(chunk + ChunkTokens, end) - firstToken)];

            // Relative to the largest logit, so that nothing overflows, whatever the temperature.
            var shift = (float)(best.Score - ((double)logits[largest] / settings.Temperature) - Margin);
            var bound = bounds[..part.Length];
            TensorPrimitives.Subtract(part, logits[largest], bound);
            TensorPrimitives.Divide(bound, settings.Temperature, bound);
            if (TensorPrimitives.Max<float>(bound) - shift < -Largest)
            {
                continue;
            }

            TensorPrimitives.Subtract(bound, shift, bound);
            TensorPrimitives.Exp(bound, bound);
            Philox4x32.Fill((uint)chunk >> 2, (uint)position, settings.SeedLow, settings.SeedHigh, words);
            var own = words[(from - chunk)..];
            for (var i = NextBelow(own, bound, 0); i < part.Length; i = NextBelow(own, bound, i + 1))
            {
                var score = Score(part[i], from + i, position, settings);
                if (score > best.Score || (score == best.Score && from + i < best.Id))
                {
                    best = (from + i, score);
                }
            }
        }

        return best;
    }

    /// <summary>
    /// First index from <paramref name="from"/> on with 1 − u below its bound; the bounds' length where there is none.
    /// </summary>
    private static int NextBelow(ReadOnlySpan<uint> words, ReadOnlySpan<float> bounds, int from)
    {
        const float Scale = 1.0f / 4294967296.0f;
        var i = from;
        for (; i <= bounds.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var complements = Vector.ConvertToSingle(~new Vector<uint>(words[i..])) * Scale;
            if (Vector.LessThanAny(complements, new Vector<float>(bounds[i..])))
            {
                break;
            }
        }

        while (i < bounds.Length && !(~words[i] * Scale < bounds[i]))
        {
            i++;
        }

        return i;
    }
}
