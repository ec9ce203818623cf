using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Modules;

/// <summary>
/// One layer y = x Wᵀ + b of [Outputs, Inputs] in every way it can be cut over three ranks, one of which may hold
/// nothing.
/// </summary>
public class ParallelLinearTests
{
    private const int Rows = 4;
    private const int Inputs = 19;
    private const int Outputs = 23;

    private static readonly float[] s_x = Random(1, Rows * Inputs);
    private static readonly float[] s_weight = Random(2, Outputs * Inputs);
    private static readonly float[] s_bias = Random(3, Outputs);

    public static TheoryData<int[]> InputCuts { get; } =
        [new int[] { 0, 7, 12, 19 }, new int[] { 0, 0, 16, 19 }, new int[] { 0, 19, 19, 19 }];

    public static TheoryData<int[]> OutputCuts { get; } =
        [new int[] { 0, 8, 16, 23 }, new int[] { 0, 22, 22, 23 }, new int[] { 0, 0, 0, 23 }];

    [Theory]
    [MemberData(nameof(InputCuts))]
    public void PartialSumsAreAddedUpAndTheBiasOnce(int[] cut)
    {
        GroupRun.OnEachRank(3, (context, _) =>
        {
            var device = context.Device;
            var range = new IndexRange(cut[context.Rank], cut[context.Rank + 1]);
            var weight = Upload(device, Columns(s_weight, Outputs, Inputs, range), Outputs, range.Length);
            var addsBias = context.Rank == Enumerable.Range(0, 3).First(r => cut[r + 1] > cut[r]);
            Tensor? bias = addsBias ? Upload(device, s_bias, 1, Outputs) : null;

            // Fed with whole rows, of which it takes its own columns.
            var output = Wide(device);
            new ParallelLinear(context, new DenseWeight(weight, false), bias, range, CollectiveKind.AllReduce, [])
                .Forward(Upload(device, s_x, Rows, Inputs), output.ColumnsAt(2, Outputs), null);
            AssertOutput(device, output);

            // Fed with its columns only.
            output = Wide(device);
            var part = Upload(device, Columns(s_x, Rows, Inputs, range), Rows, range.Length);
            new ParallelLinear(context, new DenseWeight(weight, false), bias, null, CollectiveKind.AllReduce, [])
                .Forward(part, output.ColumnsAt(2, Outputs), null);
            AssertOutput(device, output);
        });
    }

    [Theory]
    [MemberData(nameof(OutputCuts))]
    public void ColumnsAreGathered(int[] cut)
    {
        GroupRun.OnEachRank(3, (context, _) =>
        {
            var device = context.Device;
            var range = new IndexRange(cut[context.Rank], cut[context.Rank + 1]);
            var rows = s_weight[(range.Start * Inputs)..(range.End * Inputs)];
            var linear = new ParallelLinear(
                context,
                new DenseWeight(Upload(device, rows, range.Length, Inputs), false),
                Upload(device, s_bias[range.Start..range.End], 1, range.Length),
                null,
                CollectiveKind.AllGather,
                [.. cut.Zip(cut.Skip(1), (from, to) => to - from)]);
            Assert.Equal(Outputs, linear.OutputColumns);
            var output = Wide(device);
            var part = device.AllocateTensor(DType.F32, Rows, 30, MemoryPurpose.Workspace);
            linear.Forward(Upload(device, s_x, Rows, Inputs), output.ColumnsAt(2, Outputs), part);
            AssertOutput(device, output);
            Assert.Throws<ArgumentNullException>(() => linear.Forward(Upload(device, s_x, Rows, Inputs), output, null));
        });
    }

    private static void AssertOutput(IDevice device, Tensor wide)
    {
        for (var row = 0; row < Rows; row++)
        {
            var actual = Download(device, wide.RowsAt(row, 1));
            for (var column = 0; column < wide.Columns; column++)
            {
                var output = column - 2;
                if (output is < 0 or >= Outputs)
                {
                    Assert.True(float.IsNaN(actual[column]), $"wrote beside its columns, at {column}");
                    continue;
                }

                var expected = Enumerable.Range(0, Inputs)
                    .Sum(k => (double)s_x[(row * Inputs) + k] * s_weight[(output * Inputs) + k]) + s_bias[output];
                Assert.Equal(expected, actual[column], 1e-5);
            }
        }
    }

    private static Tensor Wide(IDevice device) =>
        device.AllocateTensor(DType.F32, Rows, Outputs + 5, MemoryPurpose.Workspace);

    private static Tensor Upload(IDevice device, float[] values, int rows, int columns)
    {
        var tensor = device.AllocateTensor(DType.F32, rows, columns, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes(values.AsSpan()), tensor.Buffer, 0);
        return tensor;
    }

    private static float[] Download(IDevice device, Tensor row)
    {
        var values = new float[row.Columns];
        device.CopyToHost(row.Buffer, row.OffsetBytes, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static float[] Columns(float[] matrix, int rows, int columns, IndexRange range) =>
        [.. Enumerable.Range(0, rows).SelectMany(
            r => matrix[((r * columns) + range.Start)..((r * columns) + range.End)])];

    private static float[] Random(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
