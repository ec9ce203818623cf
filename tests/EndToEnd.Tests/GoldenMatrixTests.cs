using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>
/// Free-running greedy generation against the reference, through the engine and real worker processes, all prompts of a
/// model at once. (Logits, teacher-forced, are compared in Worker.Tests, where they can be seen.)
/// </summary>
/// <remarks>
/// Half of the matrix runs by itself: every family with every layout, family with every dtype and layout with every dtype. The other
/// half is explicit and runs with <c>--explicit on</c>.
/// </remarks>
public class GoldenMatrixTests
{
    private static readonly string[] s_families = ["demo", "llama", "llama_bias", "llama_tied_hd64"];

    private static readonly string[] s_dtypes = ["float32", "bfloat16"];

    private static readonly (int Workers, bool UseDeviceMap)[] s_layouts =
        [(1, false), (2, false), (3, false), (4, false), (8, false), (2, true), (3, true), (5, true)];

    public static TheoryData<string, string, int, bool> Cases { get; } =
    [
        .. from family in s_families.Index()
           from dtype in s_dtypes.Index()
           from layout in s_layouts.Index()
           select new TheoryDataRow<string, string, int, bool>(family.Item, dtype.Item, layout.Item.Workers, layout.Item.UseDeviceMap)
           {
               // As on a chessboard: what is left of two neighbours has all pairs.
               Explicit = (family.Index + dtype.Index + layout.Index) % 2 == 1,
           },
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task GreedyIdsAreTheReferences(string family, string dtype, int workers, bool useDeviceMap)
    {
        var arguments = new ModelArguments
        {
            Model = GoldenRun.Folder(family),
            CpuWorkers = workers,
            DeviceMap = useDeviceMap ? "fit" : null,
            DType = dtype,
            MaxContext = 256,
        };

        var model = await AssertFollowedAsync(arguments, family, dtype);

        Assert.Equal(useDeviceMap ? PlanMode.DeviceMap : PlanMode.TensorParallel, model.Plan.Mode);
        Assert.Equal(workers, model.Plan.WorldSize);
    }

    /// <summary>Runs all prompts of a model at once; the model with its plan.</summary>
    internal static async Task<PreparedModel> AssertFollowedAsync(ModelArguments arguments, string family, string dtype)
    {
        var model = await PreparedModel.PrepareAsync(arguments, PreparationScope.Run, TestContext.Current.CancellationToken);
        await using var host = ModelHost.Create(model, arguments, new Progress<LoadProgress>(), NullLoggerFactory.Instance);
        await host.StartAsync(TestContext.Current.CancellationToken);

        var runs = GoldenRun.Load(family, dtype);
        Assert.NotEmpty(runs);
        var outputs = await Task.WhenAll(runs.Select(run => GenerateAsync(host, run)));
        foreach (var (run, ids) in runs.Zip(outputs))
        {
            run.AssertFollowedBy(ids, $"{family} {dtype}, prompt of {run.PromptIds.Length}");
        }

        return model;
    }

    private static async Task<IReadOnlyList<int>> GenerateAsync(ModelHost host, GoldenRun run)
    {
        // The reference was made with the end-of-sequence id banned.
        var options = new GenerateOptions { MaxNewTokens = run.GreedyIds.Length, MinNewTokens = run.GreedyIds.Length };
        var request = host.Model.Requests.Create(PromptInput.OfIds(run.PromptIds), options);
        var ids = new List<int>();
        await foreach (var generated in host.Engine.GenerateAsync(request, TestContext.Current.CancellationToken))
        {
            if (generated is GenerateEvent.Token token)
            {
                ids.Add(token.Sampled.TokenId);
            }
        }

        return ids;
    }
}
