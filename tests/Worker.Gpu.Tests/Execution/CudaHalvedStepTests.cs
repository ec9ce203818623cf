using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>Steps in two halves, whose sums run on a stream beside the products, on as many GPUs as there are.</summary>
public sealed class CudaHalvedStepTests
{
    [Theory]
    [InlineData(2, DType.F32)]
    [InlineData(2, DType.BF16)]
    [InlineData(4, DType.BF16)]
    public void Small_halves_give_the_logits_of_the_whole(int gpus, DType dtype)
    {
        Gpu.Need(gpus);
        HalvedStepCases.Check(gpus, dtype, LogitAssert.Tolerance(dtype), DeviceKinds.Cuda);
    }

    /// <summary>Rows enough to be divided over the ranks and for the group to ask for halves itself; several rounds, for order matters.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void Divided_sums_beside_products_give_the_logits_of_the_whole(int gpus)
    {
        Gpu.Need(gpus);
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.Path, new TinyCheckpointOptions
        {
            Layers = 4,
            Hidden = 1024,
            Heads = 16,
            KvHeads = 8,
            HeadDim = 64,
            Intermediate = 2048,
            Vocab = 512,
            MaxPositions = 8192,
            DType = DType.BF16,
        });
        var limits = new LimitsRequest(MaxStepTokens: 8192, MaxSequences: 4, MaxContextTokens: 8192, KvBlockTokens: 16, KvBlocks: 1200);
        var plan = GroupRun.Plan(folder.Path, gpus, DType.BF16, kind: DeviceKinds.Cuda, limits: limits);
        var script = new StepScript(plan.Limits);
        for (var round = 0; round < 3; round++)
        {
            script.Add(script.Prompt(0, Tokens(8000, round)));
            script.Add(script.Continue(0), script.Prompt(1, Tokens(5001, round + 3)), script.Prompt(3, Tokens(20, round)));
            script.Add(script.Continue(1), script.Continue(3), script.Continue(0));
        }

        var whole = GroupRun.Run(folder.Path, plan, script.Steps, context => context with
        {
            Collective = new HalvingCollective(context.Collective, rows: null),
        });
        var halved = GroupRun.Run(folder.Path, plan, script.Steps);
        foreach (var slot in (int[])[0, 1, 3])
        {
            var (a, b) = (whole.LogitsOf(slot), halved.LogitsOf(slot));
            Assert.Equal(a.Length, b.Length);
            for (var i = 0; i < a.Length; i++)
            {
                LogitAssert.Close(a[i], b[i], LogitAssert.Tolerance(DType.BF16), $"slot {slot}, row {i}");
            }
        }
    }

    private static int[] Tokens(int count, int salt) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + (salt * 17) + (i / 7)) % 512)];
}
