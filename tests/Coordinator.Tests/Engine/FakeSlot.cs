using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>What a worker would keep about one sequence.</summary>
internal sealed class FakeSlot(SequenceStart start)
{
    public SequenceStart Start { get; } = start;

    /// <summary>Tokens whose rows were computed, plus the last one sampled.</summary>
    public List<int> History { get; } = [];

    public int ComputedRows { get; set; }

    public List<int> Blocks { get; } = [];

    public int Generated => History.Count - Start.PromptTokens;
}
