using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Tests.Planning;
using TensorParallel.Protocol.Checkpoints;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>Requests of a model that waits for devices which it shares.</summary>
public sealed class ServedModelTests
{
    [Fact]
    public async Task Requests_that_wait_for_the_devices_are_counted_and_refused_where_too_many_wait()
    {
        await using var engine = new EngineFixture(EngineFixture.Unpaced, new EngineOptions { MaxWaiting = 2 });
        await engine.StartAsync();
        var turns = new HeldTurns();
        var model = Model(engine.Engine, turns);
        using var gaveUp = new CancellationTokenSource();
        var first = Generation.ReadAsync(model.GenerateAsync(EngineFixture.Request(3, 4), CancellationToken.None));
        var second = Generation.ReadAsync(model.GenerateAsync(EngineFixture.Request(3, 4), gaveUp.Token));
        await engine.WaitUntilAsync(() => engine.Engine.Statistics.Waiting == 2, "two requests to be counted");

        var refused = await Generation.ReadAsync(model.GenerateAsync(EngineFixture.Request(3, 4), CancellationToken.None))
            .WaitAsync(EngineFixture.Patience);
        Assert.IsType<EngineBusyException>(refused.Error);
        await gaveUp.CancelAsync();
        Assert.IsAssignableFrom<OperationCanceledException>((await second.WaitAsync(EngineFixture.Patience)).Error);
        await engine.WaitUntilAsync(() => engine.Engine.Statistics.Waiting == 1, "the place of who gave up to be free");
        var third = Generation.ReadAsync(model.GenerateAsync(EngineFixture.Request(3, 4), CancellationToken.None));
        turns.Open();

        Assert.All(await Task.WhenAll(first, third).WaitAsync(EngineFixture.Patience), generation => Assert.Equal(4, generation.Ids.Count));
        await engine.CheckNothingIsLeftAsync();
    }

    private static ServedModel Model(InferenceEngine engine, IDeviceTurns turns)
    {
        var spec = PlanCases.Llama();
        var plan = Planner.Plan(new PlanRequest(spec, PlanDevice.Cpus(1), DType.F32));
        return new ServedModel(
            new ModelInfo("m", spec, plan, []), engine, new GenerateRequestFactory(null, spec.VocabularySize, 96, []), null)
        {
            Turns = turns,
        };
    }

    private sealed class HeldTurns : IDeviceTurns
    {
        private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Open() => _open.SetResult();

        public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken)
        {
            await _open.Task.WaitAsync(cancellationToken);
            return new Turn();
        }

        private sealed class Turn : IDisposable
        {
            public void Dispose()
            {
            }
        }
    }
}
