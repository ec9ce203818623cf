namespace TensorParallel.Coordinator.Engine;

/// <summary>Totals since the start, over all worker groups. Belongs to the engine loop.</summary>
internal sealed class EngineCounters
{
    /// <summary>Steps completed.</summary>
    public long Steps { get; set; }

    /// <summary>Prompt tokens computed.</summary>
    public long PromptTokens { get; set; }

    /// <summary>Tokens handed to requests.</summary>
    public long GeneratedTokens { get; set; }

    /// <summary>Worker groups started after a loss.</summary>
    public int Restarts { get; set; }
}
