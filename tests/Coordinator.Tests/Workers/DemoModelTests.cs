using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Tests.Launching;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

/// <summary>The real worker program with the demo model: processes, shared memory and all.</summary>
public sealed class DemoModelTests : IDisposable
{
    private const int NewTokens = 10;
    private const int ContextTokens = 1024;
    private const int BlockTokens = 8;
    private const int BlocksPerSequence = ContextTokens / BlockTokens;

    // The rule for goldens: below this gap between the two best logits another order of summation may choose the other
    // one.
    private const double CertainGap = 2e-3;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(2);
    private static readonly JsonElement[] s_goldens = Goldens();

    private readonly RecordingLauncher _launcher =
        new(new LocalLauncher(new WorkerProgram(RepositoryPaths.WorkerDll), NullLoggerFactory.Instance));

    public void Dispose() => _launcher.Dispose();

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(2, true)]
    public async Task Greedy_tokens_equal_the_goldens_with_all_steps_sent_ahead(int ranks, bool useDeviceMap)
    {
        await using var group = await StartAsync(ranks, useDeviceMap);
        var prompts = s_goldens.Select(golden => Ints(golden, "input_ids")).ToArray();

        var answers = Steps(prompts, NewTokens).Select(group.StepAsync).ToArray();

        var generated = prompts.Select(_ => new List<int>()).ToArray();
        foreach (var answer in answers)
        {
            foreach (var token in (await answer.WaitAsync(s_patience)).Tokens)
            {
                generated[token.Slot].Add(token.TokenId);
            }
        }

        for (var i = 0; i < prompts.Length; i++)
        {
            Assert.True(Doubles(s_goldens[i], "top1_minus_top2_fp32").Take(NewTokens).Min() > CertainGap);
            Assert.Equal(Ints(s_goldens[i], "greedy_fp32").Skip(prompts[i].Length).Take(NewTokens), generated[i]);
        }
    }

    [Fact]
    public async Task The_summary_adds_up_to_the_plan()
    {
        await using var group = await StartAsync(2, useDeviceMap: false);

        var ranks = group.LoadSummary!.Ranks;

        Assert.Equal(
            group.Plan.Ranks.Select(rank => rank.WeightBytes),
            ranks.Select(rank => rank.Memory.Single(use => use.Purpose == "Weights").CurrentBytes));
        Assert.Equal(
            group.Plan.Ranks.Select(rank => rank.KvBytes),
            ranks.Select(rank => rank.Memory.Single(use => use.Purpose == "KvCache").CurrentBytes));
        Assert.All(ranks, rank => Assert.InRange(rank.BytesRead, 1, rank.PeakResidentBytes));
    }

    [Fact]
    public async Task A_rank_killed_among_its_peers_is_the_one_that_is_named_and_nothing_is_left()
    {
        var shared = SharedMemory();
        var group = await StartAsync(3, useDeviceMap: false);
        var prompts = s_goldens.Select(golden => Ints(golden, "input_ids")).ToArray();
        var answers = Steps(prompts, 1000).Select(group.StepAsync).ToArray(); // seconds of work
        await answers[1].WaitAsync(s_patience);

        _launcher.Started[2].Kill();

        var lost = await group.Lost.WaitAsync(s_soon);
        Assert.Equal(2, lost.Rank);
        Assert.Contains("was killed by SIGKILL", lost.Message, StringComparison.Ordinal);
        Assert.Same(lost, await Assert.ThrowsAsync<WorkerLostException>(() => answers[^1].WaitAsync(s_patience)));
        await group.DisposeAsync();
        foreach (var process in _launcher.Started)
        {
            await ProcessTable.GoneAsync(process.ProcessId, s_soon);
        }

        Assert.Empty(SharedMemory().Except(shared));
    }

    [Fact]
    public async Task A_folder_that_does_not_hold_the_model_fails_the_start_with_its_name()
    {
        using var folder = new TemporaryFolder();

        var lost = await Assert.ThrowsAsync<WorkerLostException>(
            () => StartAsync(Options(2, useDeviceMap: false) with { ModelFolder = folder.Path }));

        Assert.Contains("while loading", lost.Message, StringComparison.Ordinal);
        Assert.Contains(folder.Path, lost.Message, StringComparison.Ordinal);
    }

    private static string[] SharedMemory() => Directory.GetFiles("/dev/shm", "tensor-parallel-*");

    private static JsonElement[] Goldens()
    {
        var text = File.ReadAllText(Path.Combine(RepositoryPaths.DemoModel, "golden.json"));
        return [.. JsonDocument.Parse(text).RootElement.EnumerateArray()];
    }

    private static int[] Ints(JsonElement golden, string name) =>
        [.. golden.GetProperty(name).EnumerateArray().Select(value => value.GetInt32())];

    private static IEnumerable<double> Doubles(JsonElement golden, string name) =>
        golden.GetProperty(name).EnumerateArray().Select(value => value.GetDouble());

    /// <summary>Every prompt in a slot of its own: one step for all prompts, then decoding together.</summary>
    private static IEnumerable<StepBatch> Steps(int[][] prompts, int count)
    {
        for (var step = 0; step < count; step++)
        {
            yield return new StepBatch(step, [.. prompts.Select((prompt, slot) => step == 0
                ? new StepSequence(
                    slot,
                    new SequenceStart(prompt.Length, new SamplingParameters()),
                    0,
                    prompt,
                    [.. Enumerable.Range(slot * BlocksPerSequence, BlocksPerSequence)],
                    true)
                : new StepSequence(slot, null, prompt.Length + step - 1, [], [], true))]);
        }
    }

    private static WorkerGroupOptions Options(int ranks, bool useDeviceMap)
    {
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(RepositoryPaths.DemoModel).Config);
        var sequences = s_goldens.Length;
        return new WorkerGroupOptions
        {
            Plan = Planner.Plan(new PlanRequest(spec, PlanDevice.Cpus(ranks), DType.F32)
            {
                UseDeviceMap = useDeviceMap,
                Limits = new LimitsRequest(64, sequences, ContextTokens, BlockTokens, sequences * BlocksPerSequence),
            }),
            ModelFolder = RepositoryPaths.DemoModel,
            ThreadsPerWorker = 1,
        };
    }

    private Task<WorkerGroup> StartAsync(int ranks, bool useDeviceMap) => StartAsync(Options(ranks, useDeviceMap));

    private Task<WorkerGroup> StartAsync(WorkerGroupOptions options) =>
        new WorkerGroupFactory(options, _launcher, new Progress<LoadProgress>(), NullLoggerFactory.Instance)
            .StartGroupAsync(CancellationToken.None).WaitAsync(s_patience);
}
