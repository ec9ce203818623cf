using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Text;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>
/// An engine over fake groups, with what tests ask of it. Every wait ends after <see cref="Patience"/>.
/// </summary>
internal sealed class EngineFixture : IAsyncDisposable
{
    public static readonly StepLimits Limits = new(
        MaxStepTokens: 16, MaxSequences: 4, MaxContextTokens: 96, KvBlockTokens: 4, KvBlocks: 64);

    /// <summary>Long enough for a busy machine; only a test that fails waits for it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public EngineFixture(
        Func<int, FakeWorkerGroup> make,
        EngineOptions? options = null,
        TimeProvider? time = null,
        Tokenizer? tokenizer = null)
    {
        Factory = new FakeWorkerGroupFactory(make);
        Engine = new InferenceEngine(
            Factory,
            tokenizer,
            options ?? new EngineOptions(),
            time ?? TimeProvider.System,
            NullLogger<InferenceEngine>.Instance);
    }

    public FakeWorkerGroupFactory Factory { get; }

    public InferenceEngine Engine { get; }

    public static FakeWorkerGroup Unpaced(int start) => new(Limits, _ => Task.CompletedTask);

    public static GenerateRequest Request(int promptTokens, int maxNewTokens, ulong seed = 1, params int[] eos) => new(
        [.. Enumerable.Range(1, promptTokens)],
        maxNewTokens,
        new SamplingParameters { Seed = seed, EosTokenIds = eos },
        []);

    /// <summary>Starts the engine; the first group.</summary>
    public async Task<FakeWorkerGroup> StartAsync()
    {
        await Engine.StartAsync(CancellationToken.None);
        return await NextGroupAsync();
    }

    public async Task<FakeWorkerGroup> NextGroupAsync() =>
        await Factory.Started.ReadAsync(CancellationToken.None).AsTask().WaitAsync(Patience);

    public Task<Generation> RunAsync(GenerateRequest request, CancellationToken cancellationToken = default) =>
        Generation.ReadAsync(Engine.GenerateAsync(request, cancellationToken))
            .WaitAsync(Patience, CancellationToken.None);

    public Task WaitForStateAsync(EngineState state) => WaitUntilAsync(() => Engine.State == state, state.ToString());

    /// <summary>
    /// Looks again whenever the engine may have moved on; says what was waited for when it takes too long.
    /// </summary>
    public async Task WaitUntilAsync(Func<bool> condition, string what)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience,
                $"Waited for {what}; {Engine.Statistics}");
            await Task.Yield();
        }
    }

    /// <summary>Nothing is held once nothing runs, and no group saw a wrong step.</summary>
    public async Task CheckNothingIsLeftAsync()
    {
        if (Engine.State == EngineState.Ready)
        {
            await WaitUntilAsync(
                () => Engine.Statistics is { Running: 0, Waiting: 0, FreeSlots: 4, FreeBlocks: 64 },
                "all slots and blocks to be free");
        }

        Assert.All(Factory.Groups, group => Assert.Empty(group.Violations));
    }

    public ValueTask DisposeAsync() => Engine.DisposeAsync();
}
