namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Counters at one moment. Slots and blocks are those of the present worker group; 0 while there is none.
/// </summary>
/// <param name="State">What the engine is doing.</param>
/// <param name="Running">Sequences that are being computed.</param>
/// <param name="Waiting">Requests without a slot.</param>
/// <param name="Steps">Steps completed since the start.</param>
/// <param name="PromptTokens">Prompt tokens computed since the start.</param>
/// <param name="GeneratedTokens">
/// Tokens handed to requests since the start; dropped surplus tokens are not counted.
/// </param>
/// <param name="FreeSlots">Sequence slots nobody holds.</param>
/// <param name="FreeBlocks">KV blocks nobody holds.</param>
/// <param name="Restarts">Worker groups started after a loss.</param>
internal sealed record EngineStatistics(
    EngineState State,
    int Running,
    int Waiting,
    long Steps,
    long PromptTokens,
    long GeneratedTokens,
    int FreeSlots,
    int FreeBlocks,
    int Restarts);
