using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Protocol.Tests.Parallel;

/// <summary>
/// What a style says must hold for numbers: cut and joined is the whole, and computed on cut parts is computed on the
/// whole.
/// </summary>
public sealed class TpStyleTests
{
    private const double Poison = double.NaN;

    public static TheoryData<string> Names => [.. TpStyleCatalog.All.Select(style => style.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void CutThenJoined_IsTheWhole(string name)
    {
        var (style, seed) = (TpStyleCatalog.Find(name)!, Random.Shared.Next());
        var random = new Random(seed);
        for (var i = 0; i < 200; i++)
        {
            var (rows, columns, ranks, parts) = RandomCase(style, random);
            var whole = Noise(random, rows, columns);
            var joined = Filled(rows, columns, Poison);
            var held = 0L;
            for (var rank = 0; rank < ranks; rank++)
            {
                var slice = style.CutWeight("w", rows, columns, parts[rank], 2);
                held += slice.Bytes;
                Paste(joined, slice, Cut(whole, slice));
            }

            var where = $"seed {seed}, case {i}: {name} of [{rows}, {columns}] over {ranks}";
            Assert.True(Enumerable.SequenceEqual(whole.Cast<double>(), joined.Cast<double>()), where);

            // No element is held twice unless the style holds everything everywhere.
            Assert.True(held == 2L * rows * columns * (style.WeightDim is null ? ranks : 1), where);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void LinearOnParts_IsLinearOnTheWhole(string name)
    {
        var (style, seed) = (TpStyleCatalog.Find(name)!, Random.Shared.Next());
        var random = new Random(seed);
        if (!style.Targets.HasFlag(TpTargets.Linear) && !style.Targets.HasFlag(TpTargets.PackedLinear))
        {
            Assert.Equal(TpTargets.Embedding, style.Targets);
            return;
        }

        for (var i = 0; i < 100; i++)
        {
            var (rows, columns, ranks, parts) = RandomCase(style, random);
            var (weight, x) = (Noise(random, rows, columns), Noise(random, 3, columns));
            var bias = Noise(random, 1, rows);
            var expected = Product(x, weight);
            Add(expected, bias);

            var locals = Enumerable.Range(0, ranks).Select(rank => Local(style, weight, x, bias, parts[rank])).ToList();
            for (var rank = 0; rank < ranks; rank++)
            {
                var slice = style.CutWeight("w", rows, columns, parts[rank], 4);
                var got = Collect(style, locals, rank, bias);
                var isCut = style.OutputLayout == ActivationLayout.Sharded;
                var wanted = isCut ? Columns(expected, slice.Ranges) : expected;
                AssertClose(wanted, got, $"seed {seed}, case {i}: {name} of [{rows}, {columns}], rank {rank} of " +
                    $"{ranks}");
            }
        }
    }

    [Fact]
    public void PackedColwise_TakesTheSameRowsOfBothHalves()
    {
        var style = TpStyleCatalog.Find("packed_colwise")!;

        var slice = style.CutWeight("gate_up_proj.weight", 352, 64, new IndexRange(64, 128), 2);

        Assert.Equal([new(64, 128), new(240, 304)], slice.Ranges);
        Assert.Equal(2L * 128 * 64, slice.Bytes);
        Assert.Equal([new(64, 128), new(240, 304)], style.CutBias("b", 352, new IndexRange(64, 128), 2).Ranges);
        Assert.Throws<ArgumentOutOfRangeException>(() => style.CutWeight("w", 351, 64, new IndexRange(0, 8), 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => style.CutWeight("w", 352, 64, new IndexRange(170, 180), 2));
    }

    [Theory]
    [InlineData("colwise", CollectiveKind.None, false)]
    [InlineData("rowwise", CollectiveKind.AllReduce, false)]
    [InlineData("colwise_gather_output", CollectiveKind.AllGather, false)]
    [InlineData("rowwise_split_input", CollectiveKind.AllReduce, true)]
    [InlineData("embedding_rowwise", CollectiveKind.AllReduce, false)]
    [InlineData("packed_colwise", CollectiveKind.None, false)]
    [InlineData("replicate", CollectiveKind.None, false)]
    public void Collectives_FollowFromTheLayouts(string name, CollectiveKind collective, bool splitsInput)
    {
        var style = TpStyleCatalog.Find(name)!;

        Assert.Equal((collective, splitsInput), (style.Collective, style.SplitsInput));
    }

    private static (int Rows, int Columns, int Ranks, IndexRange[] Parts) RandomCase(TpStyle style, Random random)
    {
        var packed = style.Targets == TpTargets.PackedLinear ? 2 : 1;
        var (rows, columns) = (random.Next(1, 50) * packed, random.Next(1, 50));
        var size = style.WeightDim == 1 ? columns : rows / packed;
        var ranks = random.Next(1, Math.Min(size, 9) + 1);
        var partition = UnitPartition.OfWidth(size, ranks);
        return (rows, columns, ranks, [.. Enumerable.Range(0, ranks).Select(rank => partition[rank])]);
    }

    // What one rank computes before any collective: its input by the style's layout, its slice, its bias if that is
    // cut.
    private static double[,] Local(TpStyle style, double[,] weight, double[,] x, double[,] bias, IndexRange part)
    {
        var slice = style.CutWeight("w", weight.GetLength(0), weight.GetLength(1), part, 4);
        var input = style.InputLayout == ActivationLayout.Sharded || style.SplitsInput ? Columns(x, slice.Ranges) : x;
        var output = Product(input, Cut(weight, slice));
        var biasSlice = style.CutBias("b", bias.GetLength(1), part, 4);
        if (style.LocalOutputLayout != ActivationLayout.Partial)
        {
            Add(output, biasSlice.Dim is null ? bias : Columns(bias, biasSlice.Ranges));
        }
        else
        {
            Assert.Null(biasSlice.Dim);
        }

        return output;
    }

    private static double[,] Collect(TpStyle style, List<double[,]> locals, int rank, double[,] bias)
    {
        switch (style.Collective)
        {
            case CollectiveKind.AllReduce:
                var sum = (double[,])locals[0].Clone();
                locals.Skip(1).ToList().ForEach(local => Add(sum, local));
                Add(sum, bias);
                return sum;
            case CollectiveKind.AllGather:
                var whole = Filled(locals[0].GetLength(0), locals.Sum(local => local.GetLength(1)), Poison);
                var offset = 0;
                foreach (var local in locals)
                {
                    Paste(whole, new("", "", 1, [new(offset, offset += local.GetLength(1))], 0), local);
                }

                return whole;
            default:
                return locals[rank];
        }
    }

    private static double[,] Cut(double[,] whole, TensorSlice slice) => slice.Dim switch
    {
        0 => Transposed(Columns(Transposed(whole), slice.Ranges)),
        1 => Columns(whole, slice.Ranges),
        _ => whole,
    };

    private static void Paste(double[,] target, TensorSlice slice, double[,] part)
    {
        var indices = Indices(slice.Ranges);
        for (var r = 0; r < part.GetLength(0); r++)
        {
            for (var c = 0; c < part.GetLength(1); c++)
            {
                target[slice.Dim == 0 ? indices[r] : r, slice.Dim == 1 ? indices[c] : c] = part[r, c];
            }
        }
    }

    private static int[] Indices(IReadOnlyList<IndexRange> ranges) =>
        [.. ranges.SelectMany(range => Enumerable.Range(range.Start, range.Length))];

    private static double[,] Columns(double[,] x, IReadOnlyList<IndexRange> ranges)
    {
        var indices = Indices(ranges);
        return Made(x.GetLength(0), indices.Length, (r, c) => x[r, indices[c]]);
    }

    private static double[,] Transposed(double[,] x) => Made(x.GetLength(1), x.GetLength(0), (r, c) => x[c, r]);

    private static double[,] Product(double[,] x, double[,] weight) => Made(
        x.GetLength(0),
        weight.GetLength(0),
        (t, n) => Enumerable.Range(0, x.GetLength(1)).Sum(k => x[t, k] * weight[n, k]));

    private static double[,] Noise(Random random, int rows, int columns) =>
        Made(rows, columns, (_, _) => random.NextDouble() - 0.5);

    private static double[,] Filled(int rows, int columns, double value) => Made(rows, columns, (_, _) => value);

    private static double[,] Made(int rows, int columns, Func<int, int, double> value)
    {
        var made = new double[rows, columns];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++)
            {
                made[r, c] = value(r, c);
            }
        }

        return made;
    }

    // Adds rows; a single row is added to every row.
    private static void Add(double[,] target, double[,] source)
    {
        for (var r = 0; r < target.GetLength(0); r++)
        {
            for (var c = 0; c < target.GetLength(1); c++)
            {
                target[r, c] += source[source.GetLength(0) == 1 ? 0 : r, c];
            }
        }
    }

    private static void AssertClose(double[,] wanted, double[,] got, string where)
    {
        Assert.True((wanted.GetLength(0), wanted.GetLength(1)) == (got.GetLength(0), got.GetLength(1)), where);
        var worst = wanted.Cast<double>().Zip(got.Cast<double>()).Max(pair => Math.Abs(pair.First - pair.Second));
        Assert.True(worst < 1e-12, $"{where}: {worst}");
    }
}
