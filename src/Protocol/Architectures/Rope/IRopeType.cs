using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>One way to choose rotary frequencies; Hugging Face's <c>rope_type</c>. Stateless.</summary>
internal interface IRopeType
{
    /// <summary>The word in config.json.</summary>
    string Name { get; }

    /// <summary>
    /// The frequencies, rounded to float where transformers rounds, so that long positions turn alike.
    /// </summary>
    /// <exception cref="CheckpointException">A parameter is missing or makes no sense.</exception>
    RopeSpec Compute(RopeParameters parameters);
}
