namespace TensorParallel.Protocol.Architectures;

/// <summary>Gated MLP: <c>Down(act(Gate(x)) ⊙ Up(x))</c>.</summary>
/// <param name="Gate">[intermediate, hidden].</param>
/// <param name="Up">[intermediate, hidden].</param>
/// <param name="Down">[hidden, intermediate].</param>
/// <param name="Activation">Applied to the gate.</param>
public sealed record MlpSpec(LinearSpec Gate, LinearSpec Up, LinearSpec Down, ActivationKind Activation);
