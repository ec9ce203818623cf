using TensorParallel.Protocol.Architectures;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// Every tensor operation a model uses. One implementation a backend; the CPU one is the oracle of the others. Shapes are
/// [rows, columns]; T rows of a step, H hidden. "Activation" tensors have <see cref="ActivationDType"/>. Operations are issued in
/// order from one thread; they check shapes and dtypes before touching memory and throw <see cref="ArgumentException"/>.
/// Targets may not overlap sources unless said so. Nothing allocates after construction but scratch kept for reuse.
/// </summary>
internal interface IDeviceOps : IDisposable
{
    /// <summary>The device the operations run on.</summary>
    IDevice Device { get; }

    /// <summary>Dtype of activations for a model of the given dtype (CPU: always F32).</summary>
    Protocol.Checkpoints.DType ActivationDType(Protocol.Checkpoints.DType modelDType);

    /// <summary>
    /// Makes ready what operations on a model of this dtype and these head sizes will ask for first: machine code from disk or
    /// compiler. May run beside everything else; what it leaves out is made at first use. Returns how many pieces it made ready.
    /// </summary>
    int Prepare(Protocol.Checkpoints.DType modelDType, IReadOnlyCollection<int> headDims, int threads) => 0;

    /// <summary>Loads what <see cref="Prepare"/> made ready, after it has returned: then no step waits for that.</summary>
    void LoadPrepared()
    {
    }

    /// <summary>
    /// Numbers of rows up to <paramref name="most"/> that stand for all: after a product was made once with each, no number of rows asks
    /// for anything that takes time to be made ready. Empty where that is so from the beginning.
    /// </summary>
    IReadOnlyList<int> ProductRows(int most) => [];

    /// <summary>
    /// Ids of a step's rows: ids[t] = given[t] where that is 0 or more, else lastTokens[slots[t]], or −1 where the slot is −1 (a row
    /// that only fills up the step). given, slots, ids: I32 [1, T]; lastTokens: I32 [1, slots there are].
    /// </summary>
    void TokenIds(Tensor given, Tensor slots, Tensor lastTokens, Tensor ids);

    /// <summary>
    /// output[t] = table[ids[t] − firstRow]; a row of zeros where the id is outside [firstRow, firstRow + table.Rows).
    /// ids: I32 [1, T]; table: any float dtype [V, H]; output: activation [T, H].
    /// </summary>
    void Embedding(Tensor table, Tensor ids, int firstRow, Tensor output);

    /// <summary>output = x / sqrt(mean(x²) + epsilon) · weight, by row, in f32. weight: [1, H] of any float dtype.</summary>
    void RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor output);

    /// <summary>residual += delta; then output = norm of the new residual. One pass over memory.</summary>
    void AddRmsNorm(Tensor residual, Tensor delta, Tensor weight, float epsilon, Tensor output);

    /// <summary>target += source, element by element.</summary>
    void Add(Tensor target, Tensor source);

    /// <summary>
    /// output[t, n] = Σ_k x[t, k] · weight[n, k] (+ bias[n]), accumulated in f32. x: activation [T, K]; weight: F32, BF16 or
    /// F16 [N, K]; bias: any float dtype [1, N] or null; output: activation [T, N] (or F32).
    /// </summary>
    void MatMul(Tensor x, Tensor weight, Tensor? bias, Tensor output);

    /// <summary>
    /// output = act(gate) ⊙ up, where [gate | up] = x · weightᵀ (+ bias). weight: [2 · I, K]; bias: [1, 2 · I] or null; fused:
    /// activation [T, 2 · I], room for [gate | up], undefined afterwards; output: activation [T, I]. As <see cref="MatMul"/> and
    /// <see cref="GatedActivation"/>, which this is unless a backend has one operation for both (gate and up then stay in f32).
    /// </summary>
    void MatMulGated(Tensor x, Tensor weight, Tensor? bias, ActivationKind activation, Tensor fused, Tensor output)
    {
        MatMul(x, weight, bias, fused);
        GatedActivation(
            fused.ColumnsAt(0, output.Columns), fused.ColumnsAt(output.Columns, output.Columns), activation, output);
    }

    /// <summary>output = act(gate) ⊙ up. gate, up: [T, I] (may be the two halves of one fused tensor); output: [T, I].</summary>
    void GatedActivation(Tensor gate, Tensor up, ActivationKind activation, Tensor output);

    /// <summary>
    /// Rotates q and k inside the fused rows [q | k | v] by their positions, in place, and writes k and v into the cache at the
    /// rows' positions. cosSin: F32 [MaxContext, RotaryDim]: first half cosines, second half sines.
    /// Rotation: (x1, x2) → (x1·cos − x2·sin, x2·cos + x1·sin), x1 = d in [0, RotaryDim/2), x2 = d + RotaryDim/2. A row of
    /// position −1 stays as it is and writes nothing.
    /// </summary>
    void RopeAndWriteKv(Tensor fused, HeadLayout heads, Tensor cosSin, StepRows rows, KvLayerView cache);

    /// <summary>
    /// Causal attention of the q part of the fused rows over the cache (which already holds this step's keys and values).
    /// output: activation [T, QueryHeads · HeadDim]; zeros where the position is −1. Softmax in f32.
    /// </summary>
    void Attention(Tensor fused, HeadLayout heads, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output);

    /// <summary>
    /// <see cref="RopeAndWriteKv"/> and then <see cref="Attention"/>, for callers that do not need the rotated rows: fused is undefined
    /// afterwards.
    /// </summary>
    void RotateAndAttend(
        Tensor fused, HeadLayout heads, Tensor cosSin, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        RopeAndWriteKv(fused, heads, cosSin, rows, cache);
        Attention(fused, heads, options, rows, cache, output);
    }

    /// <summary>output[i] = x[indices[i]]. indices: I32 [1, L]; output: [L, H].</summary>
    void GatherRows(Tensor x, Tensor indices, Tensor output);
}
