namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Where Metaspace puts a space that the text does not have.</summary>
internal enum PrependScheme
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>Only at the beginning of the input, not after an added token.</summary>
    First,

    /// <summary>At the beginning of every stretch of text.</summary>
    Always,
}
