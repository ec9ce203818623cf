using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Sharing;

/// <content>Who leaves, who comes, and in what order. One move at a time.</content>
internal sealed partial class SharedDevices
{
    // Two models that cannot be on a device together, or that share one whose size counts: turns of one may wait for the other.
    private bool AreRivals(SharedModel one, SharedModel other) =>
        one != other && one.Need.Fixed.Keys.Any(device => _capacity.ContainsKey(device) && other.Need.Fixed.ContainsKey(device));

    /// <summary>Something has changed: makes room for the first in line if it can be made now.</summary>
    private void MoveOn()
    {
        lock (_lock)
        {
            if (_isMoving || _line.Count == 0)
            {
                return;
            }

            _isMoving = true;
        }

        _ = Task.Run(MoveAsync);
    }

    private async Task MoveAsync()
    {
        while (Next() is var (request, leaving))
        {
            foreach (var model in leaving)
            {
                await EvictAsync(model);
            }

            if (request.IsStart)
            {
                Grant(request.Model);
            }
            else
            {
                await RestoreAsync(request.Model);
            }
        }
    }

    // The first in line and who leaves for it; null: nobody waits, or somebody who must leave is in use. Then MoveOn is called again
    // when that has changed.
    private (TurnRequest Request, IReadOnlyList<SharedModel> Leaving)? Next()
    {
        lock (_lock)
        {
            while (_line.First?.Value is { } first)
            {
                if (first.Turn.IsCompleted)
                {
                    _line.RemoveFirst();
                    TellIfIdle(first.Model);
                    continue;
                }

                if (first.IsStart)
                {
                    first.Model.Place = ModelPlace.Absent; // lost in the host's memory, or on the way there: it holds nothing any more
                }
                else if (first.Model.Place == ModelPlace.Absent)
                {
                    Give(first); // lost meanwhile: its engine keeps the request until the workers are there again
                    continue;
                }

                if (LeavingFor(first.Model) is { } leaving)
                {
                    foreach (var model in leaving)
                    {
                        model.IsLeaving = true;
                    }

                    return (first, leaving);
                }

                break;
            }

            _isMoving = false;
            return null;
        }
    }

    // Idle models, the one used longest ago first, until the wanted one fits; null: those in use leave too little room.
    private List<SharedModel>? LeavingFor(SharedModel wanted)
    {
        var leaving = new List<SharedModel>();
        if (wanted.Place == ModelPlace.Devices)
        {
            return leaving;
        }

        var missing = wanted.Need.Fixed.Keys.Where(_capacity.ContainsKey).ToDictionary(
            device => device,
            device => Fixed(_models, device) + Bytes(wanted.Need.Evictable, device)
                + _models.Where(model => model != wanted && model.Place == ModelPlace.Devices).Sum(model => Bytes(model.Need.Evictable, device))
                - _capacity[device]);
        foreach (var model in _models
            .Where(model => model is { IsEvictable: true, Place: ModelPlace.Devices, Turns: 0 } && model != wanted)
            .OrderBy(model => model.LastTurn))
        {
            if (missing.Any(device => device.Value > 0 && Bytes(model.Need.Evictable, device.Key) > 0))
            {
                leaving.Add(model);
                foreach (var device in missing.Keys)
                {
                    missing[device] -= Bytes(model.Need.Evictable, device);
                }
            }
        }

        return missing.Values.All(bytes => bytes <= 0) ? leaving : null;
    }

    private async Task EvictAsync(SharedModel model)
    {
        MoveSummary? moved = null;
        try
        {
            moved = await model.Moves!.EvictAsync();
            Log.Evicted(logger, model.Name, moved.Elapsed.TotalMilliseconds, moved.DeviceBytes / 1e6, moved.CopiedBytes / 1e6, moved.PinnedBytes / 1e6);
        }
        catch (Exception exception)
        {
            // Its workers are lost, and with them what they held; its engine starts them again, when there is room.
            Log.NotEvicted(logger, model.Name, exception);
        }

        lock (_lock)
        {
            model.IsLeaving = false;
            model.Place = moved is null ? ModelPlace.Absent : ModelPlace.Host;
            model.HasHostCopy = moved is not null;
            model.LastEviction = moved ?? model.LastEviction;
            model.Evictions += moved is null ? 0 : 1;
        }
    }

    private async Task RestoreAsync(SharedModel model)
    {
        try
        {
            var moved = model.Place == ModelPlace.Devices ? null : await model.Moves!.RestoreAsync();
            if (moved is not null)
            {
                Log.Restored(logger, model.Name, moved.Elapsed.TotalMilliseconds, moved.DeviceBytes / 1e6, moved.CopiedBytes / 1e6);
                lock (_lock)
                {
                    model.LastRestore = moved;
                }
            }

            Grant(model);
        }
        catch (Exception exception)
        {
            Log.NotRestored(logger, model.Name, exception);
            lock (_lock)
            {
                model.Place = ModelPlace.Absent;

                foreach (var request in Waiting(model).Where(request => !request.IsStart))
                {
                    if (exception is WorkerLostException)
                    {
                        _line.Remove(request);
                        request.Refuse(exception);
                    }
                    else
                    {
                        Give(request); // lost before it was asked: its engine keeps the request until there are new workers
                    }
                }

                TellIfIdle(model);
            }
        }
    }

    // All who wait for the model get their turn.
    private void Grant(SharedModel model)
    {
        lock (_lock)
        {
            model.Place = ModelPlace.Devices;
            foreach (var request in Waiting(model))
            {
                Give(request);
            }
        }
    }

    // Under the lock. Nobody may wait for it any more.
    private void Give(TurnRequest request)
    {
        _line.Remove(request);
        if (!request.TryGive(Begin(request.Model)))
        {
            request.Model.Turns--;
            TellIfIdle(request.Model);
        }
    }

    private List<TurnRequest> Waiting(SharedModel model) => [.. _line.Where(request => request.Model == model)];

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information,
            "{Model} left its devices in {Milliseconds:F1} ms: {Megabytes:F1} MB given back, {Copied:F1} MB of them copied to the host, where its workers have {Pinned:F1} MB pinned")]
        public static partial void Evicted(
            ILogger logger, string model, double milliseconds, double megabytes, double copied, double pinned);

        [LoggerMessage(2, LogLevel.Information,
            "{Model} is back on its devices after {Milliseconds:F1} ms: {Megabytes:F1} MB, {Copied:F1} MB of them copied")]
        public static partial void Restored(ILogger logger, string model, double milliseconds, double megabytes, double copied);

        [LoggerMessage(3, LogLevel.Error, "{Model} could not be taken off its devices.")]
        public static partial void NotEvicted(ILogger logger, string model, Exception exception);

        [LoggerMessage(4, LogLevel.Error, "{Model} could not be brought back to its devices.")]
        public static partial void NotRestored(ILogger logger, string model, Exception exception);
    }
}
