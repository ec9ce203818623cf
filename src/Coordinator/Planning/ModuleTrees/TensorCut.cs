namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>What of a parameter a rank holds under Hugging Face's tensor-parallel plan of the family.</summary>
internal enum TensorCut
{
    /// <summary>All of it: norms, routers, untied embeddings, biases of row-wise layers.</summary>
    Whole,

    /// <summary>The part of its query heads.</summary>
    QueryHeads,

    /// <summary>The part of its key/value heads; a head may stand on several ranks.</summary>
    KeyValueHeads,

    /// <summary>The part of its MLP columns; of every expert the same.</summary>
    MlpColumns,

    /// <summary>The part of its vocabulary.</summary>
    Vocabulary,
}
