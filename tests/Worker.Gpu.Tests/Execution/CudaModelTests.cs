using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>Whole models against the recorded answers, on as many GPUs as there are.</summary>
public sealed class CudaModelTests
{
    private static readonly string[] s_families = ["llama", "llama_bias", "llama_tied_hd64"];

    private static readonly (int Gpus, bool UseDeviceMap)[] s_groups = [(1, false), (2, false), (2, true), (4, false), (8, false)];

    public static TheoryData<string, int, bool, DType> Cases { get; } =
    [
        .. from family in s_families
           from rank in s_groups
           from dtype in (DType[])[DType.F32, DType.BF16]
           select new TheoryDataRow<string, int, bool, DType>(family, rank.Gpus, rank.UseDeviceMap, dtype),
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void LogitsAgreeWithTheReference(string family, int gpus, bool useDeviceMap, DType dtype)
    {
        Gpu.Need(gpus);
        GoldenLogits.Check(family, gpus, useDeviceMap, dtype, DeviceKinds.Cuda);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void GreedyTokensAreTheReferences(string family, int gpus, bool useDeviceMap, DType dtype)
    {
        Gpu.Need(gpus);
        GoldenGreedy.Check(family, gpus, useDeviceMap, dtype, DeviceKinds.Cuda);
    }

    [Theory]
    [InlineData(1, false, DType.F32)]
    [InlineData(1, false, DType.BF16)]
    [InlineData(2, false, DType.F32)]
    [InlineData(2, false, DType.BF16)]
    [InlineData(2, true, DType.BF16)]
    public void TheDemoModelAnswersAsRecorded(int gpus, bool useDeviceMap, DType dtype)
    {
        Gpu.Need(gpus);
        DemoModelAnswers.Check(gpus, useDeviceMap, dtype, DeviceKinds.Cuda);
    }
}
