using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

public abstract partial class OpsConformance
{
    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Embedding_takes_rows_and_zeros(DType dtype)
    {
        foreach (var (rows, columns, tokens) in ((int, int, int)[])[(1, 1, 1), (7, 33, 5), (50, 300, 90)])
        {
            var firstRow = Random.Next(0, 100);
            var table = Input(dtype, rows, columns);
            var ids = Integers([.. Enumerable.Range(0, tokens).Select(_ => firstRow + Random.Next(-2, rows + 2))]);
            var output = Output(tokens, columns);
            Ops.Embedding(table.Tensor, ids.Tensor, firstRow, output.Tensor);
            output.AssertClose(
                ReferenceRows.Embedding(table.Values, ids.Integers, firstRow), (_, _) => double.Epsilon,
                $"{rows} x {columns}");
        }

        AssertInputsUntouched();
    }

    [Fact]
    public void Embedding_widens_every_half_and_bfloat16_exactly()
    {
        foreach (var dtype in (DType[])[DType.F16, DType.BF16])
        {
            var all = new double[256, 256];
            for (var i = 0; i < 65536; i++)
            {
                // A double takes every value of both types, but a NaN of either becomes another NaN: NaN is compared as
                // such.
                all[i / 256, i % 256] = Elements.Read(BitConverter.GetBytes((ushort)i), dtype);
            }

            var table = Input(dtype, all, padding: 0);
            var ids = Integers([.. Enumerable.Range(0, 256)]);
            var output = Output(256, 256);
            Ops.Embedding(table.Tensor, ids.Tensor, 0, output.Tensor);
            Device.Synchronize();
            Assert.Equal(all.Cast<double>(), output.Accept().Cast<double>());
        }
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void RmsNorm_matches(DType dtype)
    {
        foreach (var (rows, columns) in ((int, int)[])[(1, 1), (3, 17), (1, 2048), (9, 2049), (70, 576)])
        {
            var (x, weight) = (Input(DType.F32, rows, columns, 3), Input(dtype, 1, columns, 2));
            var output = Output(rows, columns);
            Ops.RmsNorm(x.Tensor, weight.Tensor, 1e-5f, output.Tensor);
            var expected = ReferenceRows.RmsNorm(x.Values, weight.Values, 1e-5f);
            output.AssertClose(expected, (t, i) => 2e-6 * (Math.Abs(expected[t, i]) + 1e-6), $"{rows} x {columns}");
        }

        AssertInputsUntouched();
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    public void AddRmsNorm_adds_then_norms(DType dtype)
    {
        foreach (var (rows, columns) in ((int, int)[])[(1, 5), (2, 64), (33, 1030)])
        {
            var (residual, delta) = (Target(rows, columns), Input(DType.F32, rows, columns));
            var (weight, output) = (Input(dtype, 1, columns), Output(rows, columns));
            var sum = ReferenceRows.Add(residual.Values, delta.Values);
            Ops.AddRmsNorm(residual.Tensor, delta.Tensor, weight.Tensor, 1e-6f, output.Tensor);
            residual.AssertClose(sum, (_, _) => 2e-7, "residual");
            var expected = ReferenceRows.RmsNorm(sum, weight.Values, 1e-6f);
            output.AssertClose(expected, (_, _) => 3e-6, $"{rows} x {columns}");
        }

        AssertInputsUntouched();
    }

    [Fact]
    public void Add_adds()
    {
        foreach (var (rows, columns) in ((int, int)[])[(1, 1), (5, 31), (40, 700)])
        {
            var (target, source) = (Target(rows, columns), Input(DType.F32, rows, columns));
            var expected = ReferenceRows.Add(target.Values, source.Values);
            Ops.Add(target.Tensor, source.Tensor);
            target.AssertClose(expected, (_, _) => 2e-7, $"{rows} x {columns}");
        }

        AssertInputsUntouched();
    }

    [Theory]
    [InlineData(ActivationKind.Silu, 1.0)]
    [InlineData(ActivationKind.Silu, 100.0)]
    [InlineData(ActivationKind.Gelu, 1.0)]
    [InlineData(ActivationKind.Gelu, 14.0)]
    [InlineData(ActivationKind.GeluTanh, 1.0)]
    [InlineData(ActivationKind.GeluTanh, 100.0)]
    public void Gated_activation_matches(ActivationKind kind, double range)
    {
        foreach (var (rows, columns) in ((int, int)[])[(1, 1), (3, 45), (2, 5000), (40, 700)])
        {
            var fused = Input(DType.F32, rows, 2 * columns, range);
            var (gate, up) = (fused.Tensor.ColumnsAt(0, columns), fused.Tensor.ColumnsAt(columns, columns));
            var output = Output(rows, columns);
            Ops.GatedActivation(gate, up, kind, output.Tensor);
            var values = fused.Values;
            var (gates, ups) = (Columns(values, 0, columns), Columns(values, columns, columns));
            var expected = ReferenceRows.GatedActivation(gates, ups, kind);

            // Relative, down to where e^(-x) leaves the floats; an exponent u has an error of u · 2^-24 · 2 or so.
            double Relative(double x) =>
                8e-7 + (kind == ActivationKind.GeluTanh ? 2e-7 * (1 + Math.Abs(x * x * x)) : 0);
            output.AssertClose(
                expected,
                (t, i) => (Relative(gates[t, i]) * Math.Abs(expected[t, i])) + (1e-36 * range),
                $"{kind} {rows} x {columns}");
        }

        AssertInputsUntouched();
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    public void GatherRows_gathers(DType dtype)
    {
        var x = Input(dtype, 9, 37);
        var indices = Integers([3, 3, 0, 8, 5]);
        var output = Output(5, 37, dtype);
        Ops.GatherRows(x.Tensor, indices.Tensor, output.Tensor);
        output.AssertClose(ReferenceRows.Gather(x.Values, indices.Integers), (_, _) => double.Epsilon, "gather");
        AssertInputsUntouched();
    }

    private static double[,] Columns(double[,] values, int start, int count)
    {
        var result = new double[values.GetLength(0), count];
        for (var t = 0; t < values.GetLength(0); t++)
        {
            for (var i = 0; i < count; i++)
            {
                result[t, i] = values[t, start + i];
            }
        }

        return result;
    }
}
