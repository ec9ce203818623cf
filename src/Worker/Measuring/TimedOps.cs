using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Measuring;

/// <summary>The operations of a device, each timed. Owns nothing: what it stands before stays the caller's.</summary>
internal sealed class TimedOps(IDeviceOps inner, OperationTimes times) : IDeviceOps
{
    public IDevice Device => inner.Device;

    public DType ActivationDType(DType modelDType) => inner.ActivationDType(modelDType);

    public int Prepare(DType modelDType, IReadOnlyCollection<int> headDims, int threads) =>
        inner.Prepare(modelDType, headDims, threads);

    public void LoadPrepared() => inner.LoadPrepared();

    public IReadOnlyList<int> ProductRows(int most) => inner.ProductRows(most);

    public void TokenIds(Tensor given, Tensor slots, Tensor lastTokens, Tensor ids)
    {
        using var timing = times.Time("token_ids");
        inner.TokenIds(given, slots, lastTokens, ids);
    }

    public void Embedding(Tensor table, Tensor ids, int firstRow, Tensor output)
    {
        using var timing = times.Time("embedding");
        inner.Embedding(table, ids, firstRow, output);
    }

    public void RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor output)
    {
        using var timing = times.Time("norm");
        inner.RmsNorm(x, weight, epsilon, output);
    }

    public void AddRmsNorm(Tensor residual, Tensor delta, Tensor weight, float epsilon, Tensor output)
    {
        using var timing = times.Time("norm");
        inner.AddRmsNorm(residual, delta, weight, epsilon, output);
    }

    public void Add(Tensor target, Tensor source)
    {
        using var timing = times.Time("add");
        inner.Add(target, source);
    }

    public void MatMul(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        using var timing = times.TimeProduct(weight);
        inner.MatMul(x, weight, bias, output);
    }

    public void MatMulGated(Tensor x, Tensor weight, Tensor? bias, ActivationKind activation, Tensor fused, Tensor output)
    {
        using var timing = times.TimeProduct(weight);
        inner.MatMulGated(x, weight, bias, activation, fused, output);
    }

    public void GatedActivation(Tensor gate, Tensor up, ActivationKind activation, Tensor output)
    {
        using var timing = times.Time("activation");
        inner.GatedActivation(gate, up, activation, output);
    }

    public void RopeAndWriteKv(Tensor fused, HeadLayout heads, Tensor cosSin, StepRows rows, KvLayerView cache)
    {
        using var timing = times.Time("rope");
        inner.RopeAndWriteKv(fused, heads, cosSin, rows, cache);
    }

    public void Attention(
        Tensor fused, HeadLayout heads, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        using var timing = times.Time("attention");
        inner.Attention(fused, heads, options, rows, cache, output);
    }

    public void RotateAndAttend(
        Tensor fused, HeadLayout heads, Tensor cosSin, AttentionOptions options, StepRows rows, KvLayerView cache, Tensor output)
    {
        using var timing = times.Time("attention");
        inner.RotateAndAttend(fused, heads, cosSin, options, rows, cache, output);
    }

    public void GatherRows(Tensor x, Tensor indices, Tensor output)
    {
        using var timing = times.Time("gather_rows");
        inner.GatherRows(x, indices, output);
    }

    public void Dispose()
    {
    }
}
