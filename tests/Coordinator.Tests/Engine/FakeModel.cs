using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>
/// A "model" whose next token depends on every token before it and on the seed, so that one wrong, missing or foreign
/// token in a history changes all that follows.
/// </summary>
internal static class FakeModel
{
    public const int VocabularySize = 97;

    /// <summary>
    /// The token after <paramref name="history"/>, of which <paramref name="generated"/> tokens are not prompt.
    /// </summary>
    public static int Next(IReadOnlyList<int> history, int generated, SamplingParameters sampling)
    {
        var hash = 14695981039346656037UL ^ sampling.Seed;
        foreach (var id in history)
        {
            hash = (hash ^ (uint)id) * 1099511628211UL;
            hash ^= hash >> 29;
        }

        while (true)
        {
            var id = (int)(hash % VocabularySize);
            if (generated >= sampling.MinNewTokens || !sampling.EosTokenIds.Contains(id))
            {
                return id;
            }

            hash = (hash + 1) * 1099511628211UL;
        }
    }

    /// <summary>What a request gives when it runs alone; stop strings are not looked at.</summary>
    public static (List<int> Ids, FinishReason Reason) Run(GenerateRequest request)
    {
        var history = request.PromptIds.ToList();
        var ids = new List<int>();
        while (ids.Count < request.MaxNewTokens)
        {
            var mayStop = ids.Count >= request.Sampling.MinNewTokens;
            var next = Next(history, ids.Count, request.Sampling);
            ids.Add(next);
            history.Add(next);
            if (mayStop && request.Sampling.EosTokenIds.Contains(next))
            {
                return (ids, FinishReason.Stop);
            }
        }

        return (ids, FinishReason.Length);
    }
}
