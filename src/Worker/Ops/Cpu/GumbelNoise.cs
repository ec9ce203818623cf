using System.Numerics.Tensors;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// The noise of sampling. Token <c>id</c> at <c>position</c> with <c>seed</c> has w, word <c>id mod 4</c> of Philox4x32-10 with
/// counter (id / 4, position, 0, 0) and key (low, high half of the seed); u = (w + ½) / 2³² lies in (0, 1); g = −ln(−ln u) is
/// standard Gumbel noise, −3.13 … 22.88. The token with the largest score x / temperature + g is a draw from
/// softmax(x / temperature): no sum over the vocabulary, and the cut of the vocabulary does not enter. Scores are doubles; of equal
/// ones the lowest id wins. Example: seed 0, position 0, token 0: w = 0x6627E8D5, u = 0.39905, g = 0.08482.
/// </summary>
internal static class GumbelNoise
{
    private const int ChunkTokens = 1024;

    /// <summary>No noise is larger: −ln(−ln(1 − 2⁻³³)) = 22.874.</summary>
    private const double Largest = 22.88;

    /// <summary>Score of one token.</summary>
    public static double Score(float logit, int id, int position, in SlotSettings settings)
    {
        var words = Philox4x32.Block((uint)id >> 2, (uint)position, 0, 0, settings.SeedLow, settings.SeedHigh);
        var word = (id & 3) switch { 0 => words.X0, 1 => words.X1, 2 => words.X2, _ => words.X3 };
        return ((double)logit / settings.Temperature) - Math.Log(-Math.Log((word + 0.5) * (1.0 / 4294967296.0)));
    }

    /// <summary>Token with the largest score of a range of the vocabulary; id −1 where there is none above −infinity.</summary>
    public static (int Id, double Score) Best(ReadOnlySpan<float> logits, int firstToken, int position, in SlotSettings settings)
    {
        Span<uint> words = stackalloc uint[ChunkTokens];
        Span<double> noise = stackalloc double[ChunkTokens];
        var best = (Id: -1, Score: double.NegativeInfinity);
        var end = logits.IsEmpty ? 0 : firstToken + logits.Length;

        // Chunks start at multiples of their size in ids, not in this part: a token's noise comes from the same vector code
        // wherever the vocabulary is cut.
        for (var chunk = firstToken / ChunkTokens * ChunkTokens; chunk < end; chunk += ChunkTokens)
        {
            var from = Math.Max(chunk, firstToken);
            var part = logits[(from - firstToken)..(Math.Min(chunk + ChunkTokens, end) - firstToken)];
            if (((double)TensorPrimitives.Max(part) / settings.Temperature) + Largest < best.Score)
            {
                continue;
            }

            Philox4x32.Fill((uint)chunk >> 2, (uint)position, settings.SeedLow, settings.SeedHigh, words);
            TensorPrimitives.ConvertChecked<uint, double>(words, noise);
            TensorPrimitives.Add(noise, 0.5, noise);
            TensorPrimitives.Multiply(noise, 1.0 / 4294967296.0, noise);
            TensorPrimitives.Log(noise, noise);
            TensorPrimitives.Negate(noise, noise);
            TensorPrimitives.Log<double>(noise, noise);
            for (var i = 0; i < part.Length; i++)
            {
                var score = ((double)part[i] / settings.Temperature) - noise[from - chunk + i];
                if (score > best.Score)
                {
                    best = (from + i, score);
                }
            }
        }

        return best;
    }
}
