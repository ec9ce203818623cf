using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Sharing;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Sharing;

public sealed class SharedDevicesTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly SharedDevices _devices = new(NullLogger<SharedDevices>.Instance);
    private readonly List<string> _log = [];

    [Fact]
    public async Task Models_that_fit_together_stay()
    {
        var (a, b) = (await StartedAsync("a", 100, 40), await StartedAsync("b", 100, 40));
        for (var i = 0; i < 3; i++)
        {
            (await EnterAsync(a)).Dispose();
            (await EnterAsync(b)).Dispose();
        }

        Assert.Empty(_log);
        Assert.Equal(ModelPlace.Devices, a.Place);
    }

    [Fact]
    public void A_model_may_fill_what_its_plan_may_fill_of_a_device_without_a_budget()
    {
        PlanDevice[] devices = [new("cuda:0", 1000)];
        Assert.Equal(devices, _devices.Offer(devices, evictable: false));

        // Plans leave a fiftieth alone.
        Assert.Throws<PlanException>(() => _devices.Add("large", Need(981), evictable: false));
        _devices.Add("whole", Need(980), evictable: false);
        var next = Assert.Single(_devices.Offer(devices, evictable: false));
        Assert.Equal((0, false), (next.MemoryBytes, next.IsExactBudget));

        static SharedNeed Need(long bytes) => new(new Dictionary<string, long> { ["cuda:0"] = bytes }, new Dictionary<string, long>());
    }

    [Fact]
    public async Task The_idle_one_leaves_and_comes_back_and_nobody_leaves_while_it_is_used()
    {
        var (a, b) = (await StartedAsync("a", 100, 60), await StartedAsync("b", 100, 60));
        Assert.Equal(["a out"], _log);
        Assert.Equal((ModelPlace.Host, ModelPlace.Devices), (a.Place, b.Place));

        var (first, second) = (await EnterAsync(b), await EnterAsync(b));
        var waiting = a.EnterAsync(CancellationToken.None).AsTask();
        first.Dispose();
        first.Dispose();
        Assert.False(waiting.IsCompleted);
        Assert.Equal(ModelPlace.Devices, b.Place);
        second.Dispose();
        (await waiting.WaitAsync(s_patience)).Dispose();

        Assert.Equal(["a out", "b out", "a in"], _log);
        Assert.Equal((1, 1), (a.Evictions, b.Evictions));
        Assert.Equal(10, a.LastRestore!.DeviceBytes);
    }

    [Fact]
    public async Task Who_was_used_longest_ago_leaves_first_and_no_more_leave_than_need_to()
    {
        var (a, b, c) = (await StartedAsync("a", 100, 30), await StartedAsync("b", 100, 30), await StartedAsync("c", 100, 30));
        (await EnterAsync(a)).Dispose();
        var d = await StartedAsync("d", 100, 40);
        Assert.Equal(["b out"], _log);
        (await EnterAsync(c)).Dispose();
        (await EnterAsync(b)).Dispose();
        Assert.Equal(["b out", "a out", "b in"], _log);
        Assert.Equal([ModelPlace.Host, ModelPlace.Devices, ModelPlace.Devices], new[] { a, c, d }.Select(model => model.Place));
    }

    [Fact]
    public async Task Two_in_steady_use_take_turns()
    {
        var (a, b) = (await StartedAsync("a", 100, 60), await StartedAsync("b", 100, 60));
        var held = await EnterAsync(b);
        var waiting = a.EnterAsync(CancellationToken.None).AsTask();
        var behind = b.EnterAsync(CancellationToken.None).AsTask(); // b is there, but a waits for it already
        Assert.False(behind.IsCompleted);
        held.Dispose();
        var turn = await waiting.WaitAsync(s_patience);
        Assert.False(behind.IsCompleted);
        turn.Dispose();
        (await behind.WaitAsync(s_patience)).Dispose();
        Assert.Equal(["a out", "b out", "a in", "a out", "b in"], _log);
    }

    [Fact]
    public async Task Who_waits_no_longer_holds_nobody_up()
    {
        var (a, b) = (await StartedAsync("a", 100, 60), await StartedAsync("b", 100, 60));
        using var held = await EnterAsync(b);
        using var gone = new CancellationTokenSource();
        var waiting = a.EnterAsync(gone.Token).AsTask();
        var behind = b.EnterAsync(CancellationToken.None).AsTask();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(s_patience));
        (await behind.WaitAsync(s_patience)).Dispose();
        Assert.Equal(["a out"], _log);
    }

    [Fact]
    public async Task Workers_lost_on_the_way_out_hold_nothing_and_start_again_when_there_is_room()
    {
        var (a, b) = (await StartedAsync("a", 100, 60), await StartedAsync("b", 100, 60));
        ((FakeMoves)b.Moves!).Failure = new WorkerLostException(0, "Rank 0 is gone.");
        (await EnterAsync(a)).Dispose();
        Assert.Equal((ModelPlace.Devices, ModelPlace.Absent), (a.Place, b.Place));

        // A request of b goes to its engine, which starts the workers: for that a leaves.
        var request = await EnterAsync(b);
        Assert.Equal(7, await b.StartAsync(_ => Task.FromResult(7), CancellationToken.None).WaitAsync(s_patience));
        request.Dispose();
        Assert.Equal((ModelPlace.Host, ModelPlace.Devices), (a.Place, b.Place));
    }

    [Fact]
    public async Task Workers_lost_on_the_way_in_refuse_who_waits_with_the_reason()
    {
        var (a, b) = (await StartedAsync("a", 100, 60), await StartedAsync("b", 100, 60));
        ((FakeMoves)a.Moves!).Failure = new WorkerLostException(1, "Rank 1 is gone.");
        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => EnterAsync(a));
        Assert.Equal(1, lost.Rank);
        Assert.Equal(ModelPlace.Absent, a.Place);
        (await EnterAsync(b)).Dispose();
    }

    [Fact]
    public async Task A_start_that_fails_leaves_its_room_to_others()
    {
        var a = await StartedAsync("a", 100, 60);
        var b = Add("b", 100, 60);
        await Assert.ThrowsAsync<InvalidDataException>(
            () => b.StartAsync<int>(_ => throw new InvalidDataException("no"), CancellationToken.None));
        b.Remove();
        (await EnterAsync(a)).Dispose();
        Assert.Equal(["a out", "a in"], _log);
    }

    [Fact]
    public async Task A_model_that_never_leaves_has_its_room_kept()
    {
        var a = await StartedAsync("a", 100, 60, always: 5);
        var offered = _devices.Offer([Device(100)], evictable: false);
        Assert.Equal(35, offered[0].UsableBytes);
        var pinned = _devices.Add("pinned", Need(35, 0), evictable: false);
        await pinned.StartAsync(_ => Task.FromResult(0), CancellationToken.None);
        Assert.Equal(60, _devices.Offer([Device(100)], evictable: true)[0].UsableBytes);
        Assert.Equal(20, _devices.Offer([Device(20)], evictable: true)[0].UsableBytes);
        (await EnterAsync(a)).Dispose();
        Assert.Empty(_log);

        var error = Assert.Throws<PlanException>(() => _devices.Add("c", Need(1, 10), evictable: true));
        Assert.Contains("cuda:0 has 100 B for all models, but with c they need 101 B", error.Message, StringComparison.Ordinal);
        Assert.Contains("a 5 B always and 60 B while it is used", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Models_that_leave_for_each_other_must_fit_into_the_host_together()
    {
        _devices.Offer([Device(100)], evictable: true);
        _devices.Add("a", Need(0, 60) with { Host = new HostNeed(7, 50) }, evictable: true, hostBytes: 0); // alone it never leaves
        var b = Need(0, 60) with { Host = new HostNeed(0, 40) };

        var error = Assert.Throws<PlanException>(() => _devices.Add("b", b, evictable: true, hostBytes: 96));

        Assert.Contains("need 97 B of host memory for their weights (a 57 B, b 40 B)", error.Message, StringComparison.Ordinal);
        Assert.Contains("are 96 B: 1 B are missing", error.Message, StringComparison.Ordinal);
        _devices.Add("b", b, evictable: true, hostBytes: 97);
    }

    [Fact]
    public void Models_that_fit_on_their_devices_together_need_nothing_of_the_host()
    {
        _devices.Offer([Device(120)], evictable: true);
        _devices.Add("a", Need(0, 60) with { Host = new HostNeed(0, 50, Budget: 10) }, evictable: true, hostBytes: 0);
        _devices.Add("b", Need(0, 60) with { Host = new HostNeed(0, 50, Budget: 10) }, evictable: true, hostBytes: 0);
    }

    [Fact]
    public void Who_has_to_leave_must_fit_into_its_own_budget_of_host_memory()
    {
        _devices.Offer([Device(100)], evictable: true);
        _devices.Add("a", Need(0, 60) with { Host = new HostNeed(10, 50, Budget: 59) }, evictable: true);

        var error = Assert.Throws<PlanException>(() => Add("b", 100, 60));

        Assert.Contains("--max-memory allows a 59 B of host memory, but", error.Message, StringComparison.Ordinal);
        Assert.Contains("its weights take 60 B there: give a larger cpu=", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Host_memory_that_models_have_taken_already_is_not_counted_again()
    {
        var a = await StartedAsync("a", 100, 60, host: new HostNeed(10, 50));
        var b = await StartedAsync("b", 100, 60, host: new HostNeed(0, 40));
        (await EnterAsync(a)).Dispose();
        Assert.Equal(["a out", "b out", "a in"], _log);
        var c = Need(0, 60) with { Host = new HostNeed(0, 30) };
        Assert.Contains(
            "need 30 B of host memory for their weights (c 30 B)",
            Assert.Throws<PlanException>(() => _devices.Add("c", c, evictable: true, hostBytes: 29)).Message, StringComparison.Ordinal);

        // New workers have pinned nothing yet.
        await a.StartAsync(_ => Task.FromResult(0), CancellationToken.None).WaitAsync(s_patience);
        Assert.Contains(
            "need 80 B of host memory for their weights (a 50 B, c 30 B)",
            Assert.Throws<PlanException>(() => _devices.Add("c", c, evictable: true, hostBytes: 79)).Message, StringComparison.Ordinal);
        Assert.Equal(ModelPlace.Host, b.Place);
    }

    [Fact]
    public async Task Devices_of_unknown_size_are_not_shared_out()
    {
        var device = new PlanDevice("cpu:0");
        Assert.Equal(device, _devices.Offer([device], evictable: true)[0]);
        var models = Enumerable.Range(0, 5).Select(i => Add($"m{i}", null, 1L << 50)).ToList();
        foreach (var model in models)
        {
            await model.StartAsync(_ => Task.FromResult(0), CancellationToken.None);
            (await EnterAsync(model)).Dispose();
        }

        Assert.Empty(_log);
    }

    [Fact]
    public async Task A_device_is_measured_anew_when_the_last_model_has_left_it()
    {
        var a = await StartedAsync("a", 100, 60);
        a.Remove();
        Assert.Equal(50, _devices.Offer([Device(50)], evictable: true)[0].UsableBytes);
    }

    [Fact]
    public async Task Closing_waits_for_who_has_or_awaits_a_turn_and_removing_refuses_them()
    {
        var (a, b) = (await StartedAsync("a", 100, 60), await StartedAsync("b", 100, 60));
        var held = await EnterAsync(b);
        var waiting = a.EnterAsync(CancellationToken.None).AsTask();
        var closed = a.CloseAsync();
        Assert.False(closed.IsCompleted);
        await Assert.ThrowsAsync<EngineUnavailableException>(() => EnterAsync(a));
        held.Dispose();
        var turn = await waiting.WaitAsync(s_patience);
        Assert.False(closed.IsCompleted);
        turn.Dispose();
        await closed.WaitAsync(s_patience);

        using var again = await EnterAsync(b);
        b.Remove();
        Assert.Contains("b is being unloaded", (await Assert.ThrowsAsync<EngineUnavailableException>(() => EnterAsync(b))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task At_no_time_do_models_need_more_than_there_is(int seed)
    {
        var random = new Random(seed);
        var models = new List<SharedModel>();
        for (var i = 0; i < 6; i++)
        {
            models.Add(await StartedAsync($"m{i}", 120, random.Next(20, 100), always: random.Next(3)));
        }

        var tasks = Enumerable.Range(0, 200).Select(i =>
        {
            var (model, cancelled, length) = (models[random.Next(models.Count)], random.Next(8) == 0, random.Next(4));
            return Task.Run(async () =>
            {
                using var stop = new CancellationTokenSource();
                if (cancelled)
                {
                    stop.CancelAfter(TimeSpan.FromMilliseconds(length));
                }

                try
                {
                    using var turn = await model.EnterAsync(stop.Token);
                    Assert.Equal(ModelPlace.Devices, model.Place);
                    await Task.Delay(length);
                    Assert.Equal(ModelPlace.Devices, model.Place);
                    var used = models.Sum(other => other.Need.Fixed["cuda:0"] + (other.Turns > 0 ? other.Need.Evictable["cuda:0"] : 0));
                    Assert.InRange(used, 0, 120);
                }
                catch (OperationCanceledException) when (cancelled)
                {
                    // As asked.
                }
            });
        });
        await Task.WhenAll(tasks.ToList()).WaitAsync(s_patience);
        Assert.All(models, model => Assert.Equal(0, model.Turns));
        Assert.InRange(models.Where(model => model.Place == ModelPlace.Devices).Sum(model => model.Need.Evictable["cuda:0"]), 1, 120);
        Assert.NotEmpty(_log);
    }

    private static PlanDevice Device(long bytes) => new("cuda:0", bytes) { IsExactBudget = true };

    private static SharedNeed Need(long always, long evictable) =>
        new(new Dictionary<string, long> { ["cuda:0"] = always }, new Dictionary<string, long> { ["cuda:0"] = evictable });

    private SharedModel Add(string name, long? capacity, long evictable, long always = 0, HostNeed? host = null)
    {
        if (capacity is { } bytes)
        {
            _devices.Offer([Device(bytes)], evictable: true);
        }

        var model = _devices.Add(name, Need(always, evictable) with { Host = host ?? new HostNeed(0, 0) }, evictable: true);
        model.Moves = new FakeMoves(name, _log);
        return model;
    }

    private async Task<SharedModel> StartedAsync(
        string name, long capacity, long evictable, long always = 0, HostNeed? host = null)
    {
        var model = Add(name, capacity, evictable, always, host);
        await model.StartAsync(_ => Task.FromResult(0), CancellationToken.None).WaitAsync(s_patience);
        return model;
    }

    private static Task<IDisposable> EnterAsync(SharedModel model) =>
        model.EnterAsync(CancellationToken.None).AsTask().WaitAsync(s_patience);
}
