namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// Top-k, top-p and min-p over the best tokens of a row, of which not all need be known. Each filter keeps a prefix of
/// the tokens sorted by logit (of equal logits the lower id first), so together they keep the shortest of the prefixes:
/// <list type="bullet">
/// <item>top-k: k tokens, and those whose logits equal the k-th;</item>
/// <item>top-p: of what top-k keeps, the fewest whose weights reach p of all its weights; at least one;</item>
/// <item>min-p: the tokens whose weight is at least min-p of the best one's.</item>
/// </list>
/// A token's weight is exp((x − best x) / temperature), a double. Example: weights 1, ½, ¼, ¼ and top-p 0.6: 1 &lt; 1.2
/// ≤ 1½, two tokens.
/// </summary>
internal static class TokenFilters
{
    /// <summary>Answer of <see cref="Kept"/>: more tokens must be known.</summary>
    public const int Unproven = -1;

    private const int Beyond = int.MaxValue;

    /// <summary>Number of tokens to keep, or <see cref="Unproven"/>.</summary>
    /// <param name="values">
    /// Logits of all tokens above <paramref name="floor"/>, best first; at least one, all finite.
    /// </param>
    /// <param name="floor">No unknown token's logit is above this; −infinity: every token that counts is known.</param>
    /// <param name="total">Sum of the weights of the whole vocabulary.</param>
    /// <param name="totalError">
    /// Largest relative error of <paramref name="total"/>; 0 where it is summed in id order in doubles.
    /// </param>
    /// <param name="settings">The filters.</param>
    public static int Kept(
        ReadOnlySpan<float> values, float floor, double total, double totalError, in SlotSettings settings)
    {
        var all = float.IsNegativeInfinity(floor) ? values.Length : Beyond;
        var topK = TopK(values, all, settings.TopK);
        var minP = MinP(values, floor, all, settings);
        var topP = settings.TopP >= 1 ? all : TopP(values, all, topK, total, totalError, settings);
        var kept = topP == Unproven ? Unproven : Math.Min(topK, Math.Min(topP, minP));
        return kept == Beyond ? Unproven : kept;
    }

    /// <summary>Weight of a logit beside the best one.</summary>
    public static double Weight(float value, float best, in SlotSettings settings) =>
        Math.Exp(((double)value - best) / settings.Temperature);

    private static int TopK(ReadOnlySpan<float> values, int all, int k)
    {
        if (k == 0 || k > values.Length)
        {
            return all;
        }

        // Ties of the k-th are all known: they are above the floor as it is.
        var kept = k;
        while (kept < values.Length && values[kept] == values[k - 1])
        {
            kept++;
        }

        return kept;
    }

    private static int MinP(ReadOnlySpan<float> values, float floor, int all, in SlotSettings settings)
    {
        if (settings.MinP == 0)
        {
            return all;
        }

        for (var i = 1; i < values.Length; i++)
        {
            if (Weight(values[i], values[0], settings) < settings.MinP)
            {
                return i;
            }
        }

        return Weight(floor, values[0], settings) < settings.MinP ? values.Length : Beyond;
    }

    private static int TopP(
        ReadOnlySpan<float> values, int all, int topK, double total, double totalError, in SlotSettings settings)
    {
        var isCut = settings.TopK > 0 && topK <= values.Length;
        var low = total * (1 - totalError);
        var high = total * (1 + totalError);
        if (settings.TopK > 0 && (isCut || topK == Beyond))
        {
            // Of top-k's tokens at least the known ones count; where all of them are known, their sum is exact.
            low = 0;
            foreach (var value in values[..Math.Min(topK, values.Length)])
            {
                low += Weight(value, values[0], settings);
            }

            // Otherwise the margin covers the rounding of sums in two different orders.
            high = isCut ? low : high * (1 + 1e-12);
        }

        double sum = 0;
        for (var i = 0; i < Math.Min(topK, values.Length); i++)
        {
            sum += Weight(values[i], values[0], settings);
            if (sum >= settings.TopP * high)
            {
                return i + 1;
            }

            if (sum >= settings.TopP * low)
            {
                return Unproven;
            }
        }

        return topK <= values.Length ? topK : all;
    }
}
