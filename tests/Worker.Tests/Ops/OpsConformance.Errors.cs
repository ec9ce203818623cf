using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

public abstract partial class OpsConformance
{
    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        var (x, weight, norm) = (Input(DType.F32, 3, 8), Input(DType.BF16, 5, 8), Input(DType.F32, 1, 7));
        var output = Output(3, 5);
        Refused(() => Ops.MatMul(x.Tensor, weight.Tensor with { Columns = 7 }, null, output.Tensor), "weight");
        Refused(() => Ops.MatMul(x.Tensor, weight.Tensor.RowsAt(0, 4), null, output.Tensor), "weight");
        Refused(() => Ops.MatMul(x.Tensor.RowsAt(0, 2), weight.Tensor, null, output.Tensor), "x");
        Refused(() => Ops.MatMul(x.Tensor, weight.Tensor, norm.Tensor, output.Tensor), "bias");
        Refused(() => Ops.RmsNorm(x.Tensor, norm.Tensor, 1e-5f, Output(3, 8).Tensor), "weight");
        Refused(() => Ops.AddRmsNorm(Target(3, 8).Tensor, x.Tensor.RowsAt(0, 2), norm.Tensor, 0, Output(3, 8).Tensor),
            "delta");
        Refused(() => Ops.Add(Target(3, 8).Tensor, weight.Tensor), "source");
        Refused(() => Ops.GatedActivation(x.Tensor, x.Tensor, ActivationKind.Silu, output.Tensor), "gate");
        Refused(() => Ops.Embedding(weight.Tensor, Integers([1, 2]).Tensor, 0, Output(3, 8).Tensor), "ids");
        Refused(() => Ops.GatherRows(x.Tensor, Integers([0, 3]).Tensor, Output(2, 8).Tensor), "3");
        output.AssertUntouched("refused output");
        AssertInputsUntouched();
    }

    [Fact]
    public void Dtypes_that_do_not_fit_are_refused()
    {
        var (x, integers, output) = (Input(DType.F32, 1, 8), Integers([1, 2, 3, 4, 5, 6, 7, 8]), Output(1, 1));
        Refused(() => Ops.MatMul(x.Tensor, integers.Tensor, null, output.Tensor), "weight");
        Refused(() => Ops.MatMul(integers.Tensor, x.Tensor, null, output.Tensor), "x");
        Refused(() => Ops.MatMul(x.Tensor, x.Tensor, null, Output(1, 1, DType.I32).Tensor), "output");
        Refused(() => Ops.Embedding(x.Tensor, Input(DType.F32, 1, 1).Tensor, 0, Output(1, 8).Tensor), "ids");
        Refused(() => Ops.GatherRows(x.Tensor, Integers([0]).Tensor, Output(1, 8, DType.BF16).Tensor), "output");
        AssertInputsUntouched();
    }

    [Fact]
    public void Views_that_leave_their_buffer_are_refused()
    {
        var (x, output) = (Input(DType.F32, 3, 8), Output(3, 8));
        foreach (var bad in (Func<Tensor, Tensor>[])[
            t => t with { OffsetBytes = t.Buffer.Bytes - 32 }, t => t with { OffsetBytes = -4 },
            t => t with { OffsetBytes = 66 },
            t => t with { RowStride = 7 }, t => t with { RowStride = 1_000_000 }])
        {
            Refused(() => Ops.Add(output.Tensor, bad(x.Tensor)), "source");
            Refused(() => Ops.Add(bad(output.Tensor), x.Tensor), "target");
        }

        output.AssertUntouched("refused output");
    }

    [Fact]
    public void Steps_that_do_not_fit_are_refused()
    {
        var shape = new PagedCase(new HeadLayout(0, 4, 0, 2, 2, 8), DType.F32, 4, (3, 2), (0, 5));
        var (heads, options) = (shape.Heads, new AttentionOptions(1));
        var step = Step(shape, 1, filledBeyondPast: true);
        var fused = Target(shape.Tokens, heads.FusedColumns);
        var (output, cosSin) = (Output(shape.Tokens, 32), Input(DType.F32, 8, 8));
        foreach (var (rows, word) in BadRows(step.Rows))
        {
            Refused(() => Ops.Attention(fused.Tensor, heads, options, rows, step.Cache, output.Tensor), word);
            Refused(() => Ops.RopeAndWriteKv(fused.Tensor, heads, cosSin.Tensor, rows, step.Cache), word);
        }

        foreach (var bad in (HeadLayout[])[
            heads with { GroupSize = 1 }, heads with { HeadDim = 7 }, heads with { KeyValueStart = 1 },
            heads with { QueryHeads = 0 }])
        {
            Refused(() => Ops.Attention(fused.Tensor, bad, options, step.Rows, step.Cache, output.Tensor), "head");
            Refused(() => Ops.RopeAndWriteKv(fused.Tensor, bad, cosSin.Tensor, step.Rows, step.Cache), "head");
        }

        Refused(() => Ops.RopeAndWriteKv(fused.Tensor, heads, cosSin.Tensor.RowsAt(0, 4), step.Rows, step.Cache),
            "cosSin");
        Refused(
            () => Ops.Attention(
                fused.Tensor, heads, options with { SlidingWindow = 0 }, step.Rows, step.Cache, output.Tensor),
            "window");
        var narrow = step.Cache with { BlockTokens = 3 };
        Refused(() => Ops.Attention(fused.Tensor, heads, options, step.Rows, narrow, output.Tensor), "block");
        output.AssertUntouched("refused output");
        fused.AssertUntouched("refused rows");
        step.Keys.AssertUntouched("keys");
        AssertInputsUntouched();
    }

    private IEnumerable<(StepRows Rows, string Word)> BadRows(StepRows good)
    {
        yield return (good with { Tokens = 6 }, "Positions");
        yield return (good with { Positions = Integers([3, 4, 0, 1, 2, 3]).Tensor }, "Positions");
        yield return (good with { Positions = Integers([3, 900, 0, 1, 2, 3, 4]).Tensor }, "900");
        yield return (good with { Positions = Integers([3, -1, 0, 1, 2, 3, 4]).Tensor }, "-1");
        yield return (good with { QueryStarts = Integers([0, 3, 7]).Tensor }, "QueryStarts");
        yield return (good with { QueryStarts = Integers([0, 2, 6]).Tensor }, "QueryStarts");
        yield return (good with { QueryStarts = Integers([0, 9, 7]).Tensor }, "QueryStarts");
        yield return (good with { RowSequences = Integers([0, 0, 1, 1, 0, 1, 1]).Tensor }, "RowSequences");
        var tables = new double[2, good.BlockTables.Columns];
        tables[1, 0] = 1000;
        yield return (good with { BlockTables = Input(DType.I32, tables).Tensor }, "1000");
    }

    private static void Refused(Action action, string word)
    {
        var exception = Assert.ThrowsAny<ArgumentException>(action);
        Assert.Contains(word, exception.Message, StringComparison.OrdinalIgnoreCase);
    }
}
