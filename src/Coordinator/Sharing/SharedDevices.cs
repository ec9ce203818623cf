using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Sharing;

/// <summary>
/// Sees to it that the models on a device never need more than it has. What models need always is promised when they are added; of those
/// that can be evicted, as many are on the devices as fit. Who needs room waits in line; the models used longest ago leave for it, but
/// none with a turn that has not ended. While somebody waits for a device, new turns on it queue behind, so that nobody waits for ever:
/// two models under steady load take turns. Thread-safe.
/// </summary>
internal sealed partial class SharedDevices(ILogger<SharedDevices> logger)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, long> _capacity = [];
    private readonly List<SharedModel> _models = [];
    private readonly LinkedList<TurnRequest> _line = [];
    private bool _isMoving;
    private long _turns;

    /// <summary>
    /// Devices as one more model may use them. A device's size is taken from the first model on it; what others need always is left
    /// out, and for a model that cannot be evicted also the most that one of the evictable models needs.
    /// </summary>
    /// <param name="devices">As chosen for the model.</param>
    /// <param name="evictable">Whether the model can be evicted.</param>
    /// <param name="besides">What models that are not added yet will need always.</param>
    public IReadOnlyList<PlanDevice> Offer(
        IReadOnlyList<PlanDevice> devices, bool evictable, IReadOnlyList<SharedNeed>? besides = null)
    {
        lock (_lock)
        {
            return [.. devices.Select(device => Offer(device, evictable, besides ?? []))];
        }
    }

    /// <summary>What models hold of the devices whose size counts, in a sentence; null: nothing. For a model that finds too little left.</summary>
    public string? Holdings()
    {
        lock (_lock)
        {
            var held = _capacity.Keys.Where(device => Least(_models, device) > 0).Select(device =>
                $"of {ByteText.Of(_capacity[device])} on {device} {ByteText.Of(Least(_models, device))} are promised to " +
                string.Join(", ", _models.Where(model => model.Need.Fixed.ContainsKey(device)).Select(model => model.Name))).ToList();
            return held.Count == 0
                ? null
                : $"Devices are shared: {string.Join("; ", held)}. Unload a model, or load them with --offload model, with which idle models make room.";
        }
    }

    /// <summary>Promises a model its memory. It is absent until its workers are started.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="need">What it needs.</param>
    /// <param name="evictable">Whether it can be evicted.</param>
    /// <param name="hostBytes">Host memory that weights may still take; null: not known.</param>
    /// <exception cref="PlanException">
    /// It does not fit beside the others, or the host has no room for those that leave for each other; the message has the numbers.
    /// </exception>
    public SharedModel Add(string name, SharedNeed need, bool evictable, long? hostBytes = null)
    {
        lock (_lock)
        {
            var model = new SharedModel(this, name, need, evictable);
            SharedModel[] all = [.. _models, model];
            var problems = need.Fixed.Keys
                .Where(device => _capacity.TryGetValue(device, out var bytes) && Least(all, device) > bytes)
                .Select(device => Shortage(all, device, name))
                .Concat(HostShortages(all, hostBytes))
                .ToList();
            if (problems.Count > 0)
            {
                throw new PlanException(problems);
            }

            _models.Add(model);
            return model;
        }
    }

    internal async ValueTask<IDisposable> EnterAsync(SharedModel model, CancellationToken cancellationToken)
    {
        TurnRequest request;
        lock (_lock)
        {
            if (model.IsClosed)
            {
                throw Closed(model);
            }

            // Requests of a model whose workers are not there wait in its engine's own queue, which knows when they are.
            if (model.Place == ModelPlace.Absent
                || (model.Place == ModelPlace.Devices && !model.IsLeaving && !_line.Any(other => AreRivals(other.Model, model))))
            {
                return Begin(model);
            }

            request = new TurnRequest(model, isStart: false);
            _line.AddLast(request);
        }

        return await WaitAsync(request, cancellationToken);
    }

    internal async Task<T> StartAsync<T>(
        SharedModel model, Func<CancellationToken, Task<T>> start, CancellationToken cancellationToken)
    {
        IDisposable? turn = null;
        TurnRequest? request = null;
        lock (_lock)
        {
            model.HasHostCopy = false; // lost with the workers before
            if (model.Place == ModelPlace.Devices && !model.IsLeaving)
            {
                turn = Begin(model); // lost where it was: its room is still its own
            }
            else
            {
                request = new TurnRequest(model, isStart: true);
                _line.AddLast(request);
            }
        }

        turn ??= await WaitAsync(request!, cancellationToken);
        try
        {
            return await start(cancellationToken);
        }
        catch
        {
            lock (_lock)
            {
                model.Place = ModelPlace.Absent;
            }

            throw;
        }
        finally
        {
            turn.Dispose();
        }
    }

    internal Task CloseAsync(SharedModel model)
    {
        lock (_lock)
        {
            model.IsClosed = true;
            model.Idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            TellIfIdle(model);
            return model.Idle.Task;
        }
    }

    internal void Remove(SharedModel model)
    {
        lock (_lock)
        {
            model.IsClosed = true;
            model.Place = ModelPlace.Absent;
            _models.Remove(model);
            foreach (var request in _line.Where(request => request.Model == model).ToList())
            {
                _line.Remove(request);
                request.Refuse(Closed(model));
            }

            // A device that nobody uses any more is measured anew by the next model.
            foreach (var device in model.Need.Fixed.Keys.Where(device => !_models.Any(other => other.Need.Fixed.ContainsKey(device))))
            {
                _capacity.Remove(device);
            }
        }

        MoveOn();
    }

    private static EngineUnavailableException Closed(SharedModel model) =>
        new($"The model {model.Name} is being unloaded; send the request to another one.");

    private PlanDevice Offer(PlanDevice device, bool evictable, IReadOnlyList<SharedNeed> besides)
    {
        var isFree = !_models.Any(model => model.Need.Fixed.ContainsKey(device.Name));
        if (isFree && device.SharedBytes is { } bytes)
        {
            _capacity[device.Name] = bytes;
        }

        if (!_capacity.TryGetValue(device.Name, out var capacity))
        {
            return device;
        }

        var taken = Fixed(_models, device.Name) + besides.Sum(need => Bytes(need.Fixed, device.Name))
            + (evictable ? 0 : LargestEvictable(_models, device.Name));
        if (isFree && taken == 0)
        {
            return device;
        }

        // What is free just now says little: models that can be evicted are on the device. A budget that was given is kept.
        var left = Math.Max(0, capacity - taken);
        return device with
        {
            MemoryBytes = device is { IsExactBudget: true, MemoryBytes: { } budget } ? Math.Min(budget, left) : left,
        };
    }

    private Turn Begin(SharedModel model)
    {
        model.Turns++;
        return new Turn(() => End(model));
    }

    private void End(SharedModel model)
    {
        lock (_lock)
        {
            model.Turns--;
            model.LastTurn = ++_turns;
            TellIfIdle(model);
        }

        MoveOn();
    }

    private void TellIfIdle(SharedModel model)
    {
        if (model.Turns == 0 && !_line.Any(request => request.Model == model))
        {
            model.Idle?.TrySetResult();
        }
    }

    private async Task<IDisposable> WaitAsync(TurnRequest request, CancellationToken cancellationToken)
    {
        MoveOn();
        await using var registration = cancellationToken.Register(() =>
        {
            request.Cancel(cancellationToken);
            lock (_lock)
            {
                _line.Remove(request);
                TellIfIdle(request.Model);
            }

            MoveOn();
        });
        return await request.Turn;
    }

    private string Shortage(IReadOnlyList<SharedModel> all, string device, string added)
    {
        var needs = all.Where(model => model.Need.Fixed.ContainsKey(device)).Select(model => model.IsEvictable
            ? $"{model.Name} {ByteText.Of(Bytes(model.Need.Fixed, device))} always and {ByteText.Of(Bytes(model.Need.Evictable, device))} while it is used"
            : $"{model.Name} {ByteText.Of(Bytes(model.Need.Fixed, device))}");
        return $"{device} has {ByteText.Of(_capacity[device])} for all models, but with {added} they need {ByteText.Of(Least(all, device))} " +
            $"({string.Join(", ", needs)}): unload one, give smaller --max-context or --max-step-tokens, or --offload model, with which " +
            "idle models make room.";
    }

    // What has to fit at one time: what all need always, and the largest of those that come and go.
    private static long Least(IReadOnlyList<SharedModel> models, string device) => Fixed(models, device) + LargestEvictable(models, device);

    private static long Fixed(IReadOnlyList<SharedModel> models, string device) => models.Sum(model => Bytes(model.Need.Fixed, device));

    private static long LargestEvictable(IReadOnlyList<SharedModel> models, string device) =>
        models.Select(model => Bytes(model.Need.Evictable, device)).DefaultIfEmpty().Max();

    private static long Bytes(IReadOnlyDictionary<string, long> need, string device) => need.GetValueOrDefault(device);
}
