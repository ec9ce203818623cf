namespace TensorParallel.TestKit.ReferenceOps;

/// <summary>
/// Rotary embedding and attention as plain loops in double precision, over keys and values that are not paged.
/// </summary>
public static class ReferenceAttention
{
    /// <summary>
    /// Rotates one head in place: (x1, x2) → (x1·cos − x2·sin, x2·cos + x1·sin), x2 half a rotary size after x1.
    /// </summary>
    public static void Rotate(Span<double> head, ReadOnlySpan<double> cosSin)
    {
        var half = cosSin.Length / 2;
        for (var d = 0; d < half; d++)
        {
            var (x1, x2) = (head[d], head[d + half]);
            head[d] = (x1 * cosSin[d]) - (x2 * cosSin[half + d]);
            head[d + half] = (x2 * cosSin[d]) + (x1 * cosSin[half + d]);
        }
    }

    /// <summary>One query head over positions first … position of its KV head.</summary>
    /// <param name="query">The rotated query.</param>
    /// <param name="keys">[position, d] of the KV head.</param>
    /// <param name="values">Same shape.</param>
    /// <param name="position">Position of the query.</param>
    /// <param name="scale">Factor on q·k.</param>
    /// <param name="window">Sliding window; null: none.</param>
    /// <param name="softCap">Soft cap of scores; null: none.</param>
    public static double[] Attend(
        ReadOnlySpan<double> query, double[,] keys, double[,] values, int position, double scale, int? window,
        double? softCap)
    {
        var first = window is { } size ? Math.Max(0, position - size + 1) : 0;
        var weights = new double[position + 1];
        var maximum = double.NegativeInfinity;
        for (var p = first; p <= position; p++)
        {
            var score = 0.0;
            for (var d = 0; d < query.Length; d++)
            {
                score += query[d] * keys[p, d];
            }

            score *= scale;
            weights[p] = softCap is { } cap ? cap * Math.Tanh(score / cap) : score;
            maximum = Math.Max(maximum, weights[p]);
        }

        var sum = 0.0;
        for (var p = first; p <= position; p++)
        {
            weights[p] = Math.Exp(weights[p] - maximum);
            sum += weights[p];
        }

        var result = new double[query.Length];
        for (var p = first; p <= position; p++)
        {
            for (var d = 0; d < query.Length; d++)
            {
                result[d] += weights[p] / sum * values[p, d];
            }
        }

        return result;
    }
}
