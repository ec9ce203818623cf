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
            var expected = ReferenceRows.Embedding(table.Values, ids.Integers, firstRow);
            output.AssertClose(
                expected, (t, i) => double.Epsilon + Rounded(expected[t, i]), $"{rows} x {columns}");
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
                // A double takes every value of both types, but a NaN of either becomes another NaN: NaN is compared as such.
                all[i / 256, i % 256] = Elements.Read(BitConverter.GetBytes((ushort)i), dtype);
            }

            var table = Input(dtype, all, padding: 0);
            var ids = Integers([.. Enumerable.Range(0, 256)]);
            var output = Output(256, 256, DType.F32);
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
            var (x, weight, output) = (Input(Activation, rows, columns, 3), Input(dtype, 1, columns, 2), Output(rows, columns));
            Ops.RmsNorm(x.Tensor, weight.Tensor, 1e-5f, output.Tensor);
            var expected = ReferenceRows.RmsNorm(x.Values, weight.Values, 1e-5f);
            output.AssertClose(
                expected, (t, i) => (2e-6 * (Math.Abs(expected[t, i]) + 1e-6)) + Rounded(expected[t, i]), $"{rows} x {columns}");
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
            var (residual, delta, weight) = (Target(rows, columns), Input(Activation, rows, columns), Input(dtype, 1, columns));
            var output = Output(rows, columns);
            var sum = ReferenceRows.Add(residual.Values, delta.Values);
            Ops.AddRmsNorm(residual.Tensor, delta.Tensor, weight.Tensor, 1e-6f, output.Tensor);
            residual.AssertClose(sum, (t, i) => 2e-7 + Rounded(sum[t, i]), "residual");
            var expected = ReferenceRows.RmsNorm(sum, weight.Values, 1e-6f);
            output.AssertClose(expected, (t, i) => 3e-6 + (4 * Rounded(expected[t, i])), $"{rows} x {columns}");
        }

        AssertInputsUntouched();
    }

    [Fact]
    public void Add_adds()
    {
        foreach (var (rows, columns) in ((int, int)[])[(1, 1), (5, 31), (40, 700)])
        {
            var (target, source) = (Target(rows, columns), Input(Activation, rows, columns));
            var expected = ReferenceRows.Add(target.Values, source.Values);
            Ops.Add(target.Tensor, source.Tensor);
            target.AssertClose(expected, (t, i) => 2e-7 + Rounded(expected[t, i]), $"{rows} x {columns}");
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
            var fused = Input(Activation, rows, 2 * columns, range);
            var (gate, up) = (fused.Tensor.ColumnsAt(0, columns), fused.Tensor.ColumnsAt(columns, columns));
            var output = Output(rows, columns);
            Ops.GatedActivation(gate, up, kind, output.Tensor);
            var values = fused.Values;
            var (gates, ups) = (Columns(values, 0, columns), Columns(values, columns, columns));
            var expected = ReferenceRows.GatedActivation(gates, ups, kind);

            // Relative, down to where e^(-x) leaves the floats; an exponent u has an error of u · 2^-24 · 2 or so.
            double Relative(double x) => 8e-7 + (kind == ActivationKind.GeluTanh ? 2e-7 * (1 + Math.Abs(x * x * x)) : 0);
            output.AssertClose(
                expected,
                (t, i) => (Relative(gates[t, i]) * Math.Abs(expected[t, i])) + (1e-36 * range) + Rounded(expected[t, i]),
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

    [Fact]
    public void TokenIds_are_given_or_the_slots_last_or_none()
    {
        var given = Integers([7, -1, -1, 0, -1, 300]);
        var slots = Integers([2, 0, 4, 1, -1, -1]);
        var last = Integers([90, 91, 92, 93, 94]);
        var ids = Output(1, 6, DType.I32);
        Ops.TokenIds(given.Tensor, slots.Tensor, last.Tensor, ids.Tensor);
        var expected = new double[,] { { 7, 90, 94, 0, -1, 300 } };
        ids.AssertClose(expected, (_, _) => double.Epsilon, "ids");

        // Longer than any block of threads.
        var many = Output(1, 1000, DType.I32);
        var places = Enumerable.Range(0, 1000).Select(t => (t % 6) - 1).ToArray();
        var tokens = Enumerable.Range(0, 1000).Select(t => t % 7 == 0 ? t : -1).ToArray();
        Ops.TokenIds(Integers(tokens).Tensor, Integers(places).Tensor, last.Tensor, many.Tensor);
        var wanted = new double[1, 1000];
        for (var t = 0; t < 1000; t++)
        {
            wanted[0, t] = tokens[t] >= 0 ? tokens[t] : places[t] < 0 ? -1 : 90 + places[t];
        }

        many.AssertClose(wanted, (_, _) => double.Epsilon, "many ids");
        AssertInputsUntouched();
    }

    [Fact]
    public void Ids_outside_the_table_give_zeros()
    {
        var table = Input(Activation, 5, 40);
        var output = Output(3, 40);
        Ops.Embedding(table.Tensor, Integers([-1, 7, 12]).Tensor, 7, output.Tensor);
        var expected = new double[3, 40];
        for (var i = 0; i < 40; i++)
        {
            expected[1, i] = table.Values[0, i];
        }

        output.AssertClose(expected, (_, _) => double.Epsilon, "embedding");
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
