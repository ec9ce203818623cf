namespace TensorParallel.TestKit;

/// <summary>Which rotary scaling a <see cref="TinyCheckpoint"/> asks for.</summary>
public enum TinyRope
{
    /// <summary>Plain rotary angles.</summary>
    Default,

    /// <summary>Llama 3.1's: factor 8, low 1, high 4, original length 64.</summary>
    Llama3,

    /// <summary>Positions divided by 4.</summary>
    Linear,
}
