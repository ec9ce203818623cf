namespace TensorParallel.Protocol.Parallel;

/// <summary>Finds what somebody may have meant.</summary>
public static class NearestName
{
    // Longer texts are no slips of the finger, and the table below is quadratic.
    private const int MaxLength = 200;

    /// <summary>
    /// The candidate that fewest insertions, deletions and replacements lead to; null when that is more than a third of
    /// the text. Example: "layers.*.self_attn.q_pro" is 1 from "layers.*.self_attn.q_proj".
    /// </summary>
    public static string? Of(string text, IEnumerable<string> candidates)
    {
        if (text.Length > MaxLength)
        {
            return null;
        }

        var nearest = candidates
            .Where(candidate => candidate.Length <= MaxLength)
            .Select(candidate => (Name: candidate, Distance: Distance(text, candidate)))
            .OrderBy(candidate => candidate.Distance)
            .FirstOrDefault();
        return nearest.Name is not null && nearest.Distance * 3 <= Math.Max(text.Length, 3) ? nearest.Name : null;
    }

    private static int Distance(string a, string b)
    {
        var previous = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var current = new int[b.Length + 1];
            current[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                current[j] = Math.Min(replace, Math.Min(previous[j], current[j - 1]) + 1);
            }

            previous = current;
        }

        return previous[b.Length];
    }
}
