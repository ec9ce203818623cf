namespace TensorParallel.Protocol.Architectures;

/// <summary>Activation of a gated MLP, by Hugging Face's <c>hidden_act</c>.</summary>
public enum ActivationKind
{
    /// <summary><c>silu</c>: x · sigmoid(x).</summary>
    Silu,

    /// <summary><c>gelu</c>: exact, by the error function.</summary>
    Gelu,

    /// <summary><c>gelu_pytorch_tanh</c> (also <c>gelu_new</c>): the tanh approximation.</summary>
    GeluTanh,
}
