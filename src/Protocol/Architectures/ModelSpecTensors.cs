using System.Collections.Frozen;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures;

/// <summary>Which tensors a model needs, and where a checkpoint has them.</summary>
public static class ModelSpecTensors
{
    private const int MaxProblemsShown = 20;

    /// <summary>
    /// Every tensor in load order: embedding, blocks, final norm, head. A tied head has no tensor of its own: it is the
    /// embedding's.
    /// </summary>
    public static IEnumerable<ExpectedTensor> Of(ModelSpec spec)
    {
        yield return new(spec.Embedding.WeightName, [spec.VocabularySize, spec.HiddenSize]);
        foreach (var tensor in spec.Blocks.SelectMany(Of))
        {
            yield return tensor;
        }

        yield return Of(spec.FinalNorm);
        if (!spec.TieWordEmbeddings)
        {
            foreach (var tensor in Of(spec.OutputHead))
            {
                yield return tensor;
            }
        }
    }

    /// <summary>Weight and, where there is one, bias.</summary>
    public static IEnumerable<ExpectedTensor> Of(LinearSpec linear)
    {
        yield return new(linear.WeightName, [linear.OutFeatures, linear.InFeatures]);
        if (linear.HasBias)
        {
            yield return new(linear.BiasName, [linear.OutFeatures]);
        }
    }

    /// <summary>The norm's weight.</summary>
    public static ExpectedTensor Of(NormSpec norm) => new(norm.WeightName, [norm.Size]);

    /// <summary>
    /// Finds every tensor of <see cref="Of(ModelSpec)"/>. Of a tied pair either name will do. Tensors that the model
    /// does not need (saved <c>rotary_emb.inv_freq</c>) are left alone.
    /// </summary>
    /// <returns>By the name the model uses, which for a tied embedding may differ from the one in the file.</returns>
    /// <exception cref="CheckpointException">
    /// Everything that is missing, has the wrong shape or a dtype nobody computes in: one sentence each, with the file.
    /// </exception>
    public static IReadOnlyDictionary<string, TensorInfo> Locate(ModelSpec spec, Checkpoint checkpoint)
    {
        if (!checkpoint.HasWeights)
        {
            throw new CheckpointException(
                $"{checkpoint.Folder}: there are no weights: neither {Checkpoint.SingleFileName} nor " +
                $"{Checkpoint.IndexFileName} is there.");
        }

        var found = new Dictionary<string, TensorInfo>();
        var problems = new List<string>();
        foreach (var expected in Of(spec))
        {
            if (!Find(spec, checkpoint, expected.Name, out var tensor))
            {
                var shape = Quote.Shape([.. expected.Shape.Select(size => (long)size)]);
                problems.Add($"{checkpoint.Folder}: tensor {Quote.Of(expected.Name)} of shape {shape} is missing.");
            }
            else if (Problem(expected, tensor) is { } problem)
            {
                problems.Add(problem);
            }
            else
            {
                found.Add(expected.Name, tensor);
            }
        }

        return problems.Count == 0 ? found.ToFrozenDictionary() : throw new CheckpointException(Text(problems));
    }

    /// <summary>A block's tensors in load order.</summary>
    public static IEnumerable<ExpectedTensor> Of(BlockSpec block) =>
    [
        Of(block.InputNorm),
        .. Of(block.Attention.Query),
        .. Of(block.Attention.Key),
        .. Of(block.Attention.Value),
        .. Of(block.Attention.Output),
        Of(block.PostAttentionNorm),
        .. Of(block.Mlp.Gate),
        .. Of(block.Mlp.Up),
        .. Of(block.Mlp.Down),
    ];

    private static bool Find(ModelSpec spec, Checkpoint checkpoint, string name, out TensorInfo tensor) =>
        checkpoint.Tensors.TryGetValue(name, out tensor!)
        || (spec.TieWordEmbeddings
            && name == spec.Embedding.WeightName
            && checkpoint.Tensors.TryGetValue(spec.OutputHead.WeightName, out tensor!));

    private static string? Problem(ExpectedTensor expected, TensorInfo tensor)
    {
        var shape = expected.Shape.Select(size => (long)size).ToArray();
        if (!shape.SequenceEqual(tensor.Shape))
        {
            return $"{tensor.File}: tensor {Quote.Of(tensor.Name)} has shape {Quote.Shape(tensor.Shape)} but " +
                $"{Checkpoint.ConfigFileName} asks for {Quote.Shape(shape)}.";
        }

        return tensor.DType is DType.F32 or DType.BF16 or DType.F16
            ? null
            : $"{tensor.File}: tensor {Quote.Of(tensor.Name)} is of dtype {tensor.DType.SafetensorsName()}, but only " +
                "F32, BF16 and F16 weights can be loaded.";
    }

    private static string Text(List<string> problems) => string.Join(
        Environment.NewLine,
        problems.Count <= MaxProblemsShown
            ? problems
            : [.. problems.Take(MaxProblemsShown), $"… and {problems.Count - MaxProblemsShown} more tensors."]);
}
