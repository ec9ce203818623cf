using System.Numerics;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>The best tokens of a row: larger logit first, of equal logits the lower id.</summary>
internal static class TopCandidates
{
    /// <summary>
    /// Selects as many as <paramref name="values"/> has room for, best first; where there are fewer, value −infinity
    /// and id −1 follow. One pass; logits hold no NaN.
    /// </summary>
    public static void Select(ReadOnlySpan<float> logits, int firstToken, Span<float> values, Span<int> ids)
    {
        var count = Math.Min(values.Length, logits.Length);
        values[count..].Fill(float.NegativeInfinity);
        ids[count..].Fill(-1);
        if (count == 0)
        {
            return;
        }

        values = values[..count];
        ids = ids[..count];
        logits[..count].CopyTo(values);
        for (var i = 0; i < count; i++)
        {
            ids[i] = firstToken + i;
        }

        // A heap with the worst candidate on top: a token enters only by beating it, and most do not.
        for (var i = (count / 2) - 1; i >= 0; i--)
        {
            SiftDown(values, ids, i);
        }

        for (var i = NextAbove(logits, count, values[0]); i < logits.Length; i = NextAbove(logits, i + 1, values[0]))
        {
            values[0] = logits[i];
            ids[0] = firstToken + i;
            SiftDown(values, ids, 0);
        }

        for (var last = count - 1; last > 0; last--)
        {
            (values[0], values[last]) = (values[last], values[0]);
            (ids[0], ids[last]) = (ids[last], ids[0]);
            SiftDown(values[..last], ids[..last], 0);
        }
    }

    /// <summary>Whether token a stands behind token b.</summary>
    private static bool IsWorse(float valueA, int idA, float valueB, int idB) =>
        valueA < valueB || (valueA == valueB && idA > idB);

    private static void SiftDown(Span<float> values, Span<int> ids, int at)
    {
        while (true)
        {
            var worst = at;
            for (var child = (2 * at) + 1; child <= (2 * at) + 2 && child < values.Length; child++)
            {
                if (IsWorse(values[child], ids[child], values[worst], ids[worst]))
                {
                    worst = child;
                }
            }

            if (worst == at)
            {
                return;
            }

            (values[at], values[worst]) = (values[worst], values[at]);
            (ids[at], ids[worst]) = (ids[worst], ids[at]);
            at = worst;
        }
    }

    /// <summary>
    /// First index from <paramref name="from"/> on whose logit is larger: an equal one has the higher id and stays out.
    /// </summary>
    private static int NextAbove(ReadOnlySpan<float> logits, int from, float threshold)
    {
        var limit = new Vector<float>(threshold);
        var i = from;
        while (i <= logits.Length - Vector<float>.Count
            && !Vector.GreaterThanAny(new Vector<float>(logits[i..]), limit))
        {
            i += Vector<float>.Count;
        }

        while (i < logits.Length && !(logits[i] > threshold))
        {
            i++;
        }

        return i;
    }
}
