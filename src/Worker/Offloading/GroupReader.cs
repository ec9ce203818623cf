using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// Reads groups from their files into their slots, in the order asked for, by threads and lanes that stay. Host memory: the lanes' slots.
/// <see cref="Begin"/> and Dispose are called by one thread.
/// </summary>
internal sealed class GroupReader : IDisposable
{
    private readonly IReadOnlyDictionary<string, TensorInfo> _tensors;
    private readonly IDevice _device;
    private readonly int _rank;
    private readonly int _chunkBytes;
    private readonly Dictionary<string, SafetensorsFile> _files = [];
    private readonly Dictionary<WeightGroup, (IReadOnlyList<ReadChunk> Chunks, IReadOnlyList<ReadBatch> Batches)> _plans = [];
    private readonly Queue<(GroupRead Read, int Batch)> _work = [];
    private readonly Thread[] _threads;
    private bool _stopping;

    /// <summary>
    /// Opens the files, so that from here on, before anything is loaded, they must stay as they are; starts the threads, which open their
    /// lanes at the first work.
    /// </summary>
    /// <param name="tensors">Where the tensors lie.</param>
    /// <param name="device">Owner of the slots.</param>
    /// <param name="rank">For messages.</param>
    /// <param name="threads">Threads, at least 1.</param>
    /// <param name="chunkBytes">Most bytes of one read and of one slot of a lane.</param>
    /// <exception cref="CheckpointException">A file cannot be opened.</exception>
    public GroupReader(
        IReadOnlyDictionary<string, TensorInfo> tensors, IDevice device, int rank, int threads,
        int chunkBytes = WeightLoader.DefaultChunkBytes)
    {
        (_tensors, _device, _rank, _chunkBytes) = (tensors, device, rank, chunkBytes);
        try
        {
            foreach (var path in tensors.Values.Select(tensor => tensor.File).Distinct())
            {
                _files.Add(path, new SafetensorsFile(path));
            }
        }
        catch (CheckpointException e)
        {
            CloseFiles();
            throw Named(e);
        }

        _threads = [.. Enumerable.Range(0, threads).Select(i =>
            new Thread(Serve) { IsBackground = true, Name = $"offload {rank}.{i}" })];
        Array.ForEach(_threads, thread => thread.Start());
    }

    /// <summary>Makes the plan of a group's reads; what is wrong with them is said now and not in a step.</summary>
    /// <exception cref="CheckpointException">A tensor is missing or not as planned.</exception>
    public void Prepare(WeightGroup group)
    {
        try
        {
            var chunks = ReadPlan.Create(_tensors, group.FromFiles, _chunkBytes);
            _plans[group] = (chunks, ReadBatch.Of(chunks, _chunkBytes));
        }
        catch (CheckpointException e)
        {
            throw Named(e);
        }
    }

    /// <summary>Begins to read a prepared group into its slot once that is free.</summary>
    public GroupRead Begin(WeightGroup group, ICopyPoint free)
    {
        var (chunks, batches) = _plans[group];
        var read = new GroupRead(
            _rank, chunks, batches, free, [.. chunks.Select(chunk => chunk.Source.File).Distinct().Select(path => _files[path])]);
        lock (_work)
        {
            for (var i = 0; i < batches.Count; i++)
            {
                _work.Enqueue((read, i));
            }

            Monitor.PulseAll(_work);
        }

        return read;
    }

    public void Dispose()
    {
        lock (_work)
        {
            _stopping = true;
            _work.Clear();
            Monitor.PulseAll(_work);
        }

        Array.ForEach(_threads, thread => thread.Join());
        CloseFiles();
    }

    private void CloseFiles()
    {
        foreach (var file in _files.Values)
        {
            file.Dispose();
        }
    }

    private void Serve()
    {
        IUploadLane? lane = null;
        ChunkTransfer? transfer = null;
        var underWay = new Queue<GroupRead>();
        while (TryTake(wait: underWay.Count == 0) is var work && (work is not null || underWay.Count > 0))
        {
            if (work is not ({ } read, var batch))
            {
                Finish(lane!, underWay);
                continue;
            }

            try
            {
                if (read.HasFailed)
                {
                    read.BatchDone();
                    continue;
                }

                transfer ??= new ChunkTransfer(lane = _device.OpenUploadLane(_chunkBytes));
                read.Free.Wait();
                transfer.Transfer(_files, read.Chunks, read.Batches[batch]);
                underWay.Enqueue(read);

                // What was queued from a lane's slot is on the device when the slot's turn comes again.
                if (underWay.Count > lane!.Slots)
                {
                    underWay.Dequeue().BatchDone();
                }
            }
            catch (Exception e)
            {
                read.Fail(e is CheckpointException unreadable ? Named(unreadable) : e);
            }
        }

        lane?.Dispose();
    }

    private static void Finish(IUploadLane lane, Queue<GroupRead> underWay)
    {
        Exception? failure = null;
        try
        {
            lane.Finish();
        }
        catch (Exception e)
        {
            failure = e;
        }

        while (underWay.TryDequeue(out var read))
        {
            if (failure is null)
            {
                read.BatchDone();
            }
            else
            {
                read.Fail(failure);
            }
        }
    }

    // Null: nothing to do now, or never again.
    private (GroupRead Read, int Batch)? TryTake(bool wait)
    {
        lock (_work)
        {
            while (wait && _work.Count == 0 && !_stopping)
            {
                Monitor.Wait(_work);
            }

            return _work.TryDequeue(out var work) ? work : null;
        }
    }

    private CheckpointException Named(CheckpointException e) => new($"Rank {_rank}: {e.Message}", e);
}
