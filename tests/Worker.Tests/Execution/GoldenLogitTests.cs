using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Teacher-forced: the reference's own ids are fed, and each step's logits compared.</summary>
public class GoldenLogitTests
{
    private static readonly string[] s_families = ["llama", "llama_bias", "llama_tied_hd64"];

    private static readonly (int Ranks, bool UseDeviceMap)[] s_groups =
        [(1, false), (2, false), (3, false), (4, false), (8, false), (2, true), (3, true), (5, true)];

    public static TheoryData<string, int, bool, DType> Cases { get; } =
    [
        .. from family in s_families
           from rank in s_groups
           from dtype in (DType[])[DType.F32, DType.BF16]
           select new TheoryDataRow<string, int, bool, DType>(family, rank.Ranks, rank.UseDeviceMap, dtype),
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void LogitsAgreeWithTheReference(string family, int ranks, bool useDeviceMap, DType dtype) =>
        GoldenLogits.Check(family, ranks, useDeviceMap, dtype, DeviceKinds.Cpu);
}
