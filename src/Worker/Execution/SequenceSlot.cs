namespace TensorParallel.Worker.Execution;

/// <summary>What a rank remembers of one sequence between steps.</summary>
internal sealed class SequenceSlot
{
    /// <summary>KV block ids; position p is in entry p / KvBlockTokens.</summary>
    public List<int> Blocks { get; } = [];

    /// <summary>Positions that are in the cache; 0 before the first step.</summary>
    public int Length { get; private set; }

    /// <summary>Whether the last step drew the token of position <see cref="Length"/>.</summary>
    public bool HasSampledToken { get; private set; }

    /// <summary>Forgets everything.</summary>
    public void Reset()
    {
        Blocks.Clear();
        Length = 0;
        HasSampledToken = false;
    }

    /// <summary>Notes a step's rows.</summary>
    public void Advance(int rows, bool sampled)
    {
        Length += rows;
        HasSampledToken = sampled;
    }
}
