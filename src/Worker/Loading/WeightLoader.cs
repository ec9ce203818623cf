using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Reads this rank's parts of a checkpoint straight into their places on the device: in file order, by several threads with a lane
/// each, no whole tensor in host memory.
/// </summary>
/// <param name="tensors">Where the tensors lie, by the name that slices use.</param>
/// <param name="device">Where the destinations lie.</param>
/// <param name="rank">For messages.</param>
internal sealed class WeightLoader(IReadOnlyDictionary<string, TensorInfo> tensors, IUploadTarget device, int rank)
{
    /// <summary>
    /// Most bytes of one read and of one slot: large enough for full speed of disk and bus, small enough to keep several threads busy
    /// and what they have just read in the processor's cache, where the bus finds it.
    /// </summary>
    public const int DefaultChunkBytes = 4 << 20;

    /// <summary>Threads where nobody says how many ranks share this host's processors.</summary>
    public const int DefaultThreads = 4;

    private readonly Lock _progressLock = new();

    /// <summary>Most bytes of one read and of one slot.</summary>
    public int ChunkBytes { get; init; } = DefaultChunkBytes;

    /// <summary>Threads that read, at least 1; no more than there is work for are started.</summary>
    public int Threads { get; init; } = DefaultThreads;

    /// <summary>Checks what is read; null: only that no file changed meanwhile is checked.</summary>
    public IChunkCheck? Check { get; init; }

    /// <summary>
    /// Loads all targets; returns when they are on the device. Throws <see cref="CheckpointException"/> naming rank,
    /// file and tensor; the destinations then hold an unknown mixture.
    /// </summary>
    /// <param name="targets">Disjoint destinations.</param>
    /// <param name="progress">
    /// Called from loader threads, one at a time, with rising numbers; the last call says all is done.
    /// </param>
    public LoadReport Load(IReadOnlyList<WeightTarget> targets, Action<LoadProgress>? progress = null)
    {
        var began = Stopwatch.GetTimestamp();
        var files = new Dictionary<string, SafetensorsFile>();
        try
        {
            var chunks = ReadPlan.Create(tensors, targets, ChunkBytes);
            foreach (var path in chunks.Select(c => c.Source.File).Distinct())
            {
                files.Add(path, new SafetensorsFile(path));
            }

            var owned = chunks.Sum(c => c.OwnedBytes);
            Transfer(chunks, files, owned, progress);
            foreach (var file in files.Values)
            {
                file.ThrowIfChanged();
            }

            return new LoadReport(
                owned, files.Values.Sum(f => f.BytesRead), files.Count, began, Stopwatch.GetElapsedTime(began));
        }
        catch (CheckpointException e)
        {
            throw new CheckpointException($"Rank {rank}: {e.Message}", e);
        }
        finally
        {
            foreach (var file in files.Values)
            {
                file.Dispose();
            }
        }
    }

    private void Transfer(
        IReadOnlyList<ReadChunk> chunks,
        Dictionary<string, SafetensorsFile> files,
        long total,
        Action<LoadProgress>? progress)
    {
        var batches = ReadBatch.Of(chunks, ChunkBytes);
        var next = -1;
        var done = 0L;
        var failures = new ConcurrentQueue<ExceptionDispatchInfo>();
        Thread[] threads = [.. Enumerable.Range(0, Math.Min(Threads, batches.Count)).Select(i =>
            new Thread(Run) { IsBackground = true, Name = $"load {rank}.{i}" })];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        // The first failure is the cause; the others only say that they stopped.
        if (failures.TryDequeue(out var first))
        {
            first.Throw();
        }

        void Run()
        {
            try
            {
                using var lane = device.OpenUploadLane(ChunkBytes);
                var transfer = new ChunkTransfer(lane, Check);
                var underWay = new Queue<long>();
                for (var i = Interlocked.Increment(ref next);
                    i < batches.Count && failures.IsEmpty;
                    i = Interlocked.Increment(ref next))
                {
                    transfer.Transfer(files, chunks, batches[i]);
                    underWay.Enqueue(OwnedBytes(chunks, batches[i]));
                    if (underWay.Count > lane.Slots)
                    {
                        Report(ref done, underWay.Dequeue(), total, progress);
                    }
                }

                lane.Finish();
                Report(ref done, underWay.Sum(), total, progress);
            }
            catch (Exception e)
            {
                failures.Enqueue(ExceptionDispatchInfo.Capture(e));
            }
        }
    }

    private static long OwnedBytes(IReadOnlyList<ReadChunk> chunks, ReadBatch batch) =>
        Enumerable.Range(batch.First, batch.Count).Sum(i => chunks[i].OwnedBytes);

    private void Report(ref long done, long bytes, long total, Action<LoadProgress>? progress)
    {
        lock (_progressLock)
        {
            done += bytes;
            if (bytes > 0)
            {
                progress?.Invoke(new LoadProgress(done, total));
            }
        }
    }
}
