using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Ops.Cpu;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>
/// Sampling from the whole vocabulary, step by step as the parameters are defined, with masks over all tokens, in
/// doubles but for the penalties.
/// </summary>
internal sealed class ReferenceSampler(SequenceStart start)
{
    private readonly List<int> _history = [];

    /// <summary>Appends tokens to the sequence.</summary>
    public void Append(params ReadOnlySpan<int> tokens) => _history.AddRange(tokens);

    /// <summary>Draws the next token; does not append it.</summary>
    public int Draw(float[] raw)
    {
        var sampling = start.Sampling;
        var logits = Penalised(raw);
        var best = logits.Max();
        if (sampling.Temperature == 0)
        {
            return Array.IndexOf(logits, best);
        }

        var kept = logits.Select(x => !float.IsNegativeInfinity(x)).ToArray();
        if (sampling.TopK > 0 && sampling.TopK < logits.Length)
        {
            var kth = logits.OrderDescending().ElementAt(sampling.TopK - 1);
            Keep(kept, id => logits[id] >= kth);
        }

        var weights = logits.Select(x => Math.Exp(((double)x - best) / sampling.Temperature)).ToArray();
        if (sampling.TopP < 1)
        {
            var total = weights.Where((_, id) => kept[id]).Sum();
            var nucleus = new HashSet<int>();
            double sum = 0;
            var sorted = Enumerable.Range(0, logits.Length).Where(id => kept[id]).OrderByDescending(id => logits[id]);
            foreach (var id in sorted)
            {
                nucleus.Add(id);
                sum += weights[id];
                if (sum >= sampling.TopP * total)
                {
                    break;
                }
            }

            Keep(kept, nucleus.Contains);
        }

        Keep(kept, id => weights[id] >= sampling.MinP);
        return Enumerable.Range(0, logits.Length).Where(id => kept[id]).MaxBy(id => Score(logits[id], id));
    }

    /// <summary>Log-probability of every token under the raw logits.</summary>
    public static double[] LogProbabilities(float[] raw)
    {
        var sum = Math.Log(raw.Sum(x => Math.Exp((double)x - raw.Max())));
        return [.. raw.Select(x => (double)x - raw.Max() - sum)];
    }

    private float[] Penalised(float[] raw)
    {
        var sampling = start.Sampling;
        var logits = (float[])raw.Clone();
        foreach (var id in _history.Distinct())
        {
            logits[id] =
                logits[id] < 0 ? logits[id] * sampling.RepetitionPenalty : logits[id] / sampling.RepetitionPenalty;
        }

        foreach (var group in _history.Skip(start.PromptTokens).GroupBy(id => id))
        {
            logits[group.Key] -= sampling.PresencePenalty;
            logits[group.Key] -= sampling.FrequencyPenalty * group.Count();
        }

        foreach (var id in _history.Count - start.PromptTokens < sampling.MinNewTokens ? sampling.EosTokenIds : [])
        {
            logits[id] = float.NegativeInfinity;
        }

        return logits;
    }

    private double Score(float logit, int id)
    {
        var seed = start.Sampling.Seed;
        var (x0, x1, x2, x3) =
            Philox4x32.Block(
                (uint)(id / 4), (uint)_history.Count, 0, 0, (uint)(seed & uint.MaxValue), (uint)(seed >> 32));
        var u = (new[] { x0, x1, x2, x3 }[id % 4] + 0.5) / Math.Pow(2, 32);
        return ((double)logit / start.Sampling.Temperature) - Math.Log(-Math.Log(u));
    }

    private static void Keep(bool[] kept, Func<int, bool> condition)
    {
        for (var id = 0; id < kept.Length; id++)
        {
            kept[id] = kept[id] && condition(id);
        }
    }
}
