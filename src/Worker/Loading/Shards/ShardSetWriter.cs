using System.Runtime.ExceptionServices;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>
/// Cuts a checkpoint into one file a rank. All of it is written, checked against what the source was, and on the disk before the folder
/// takes its name: there is never half a set. Host memory: a slot and a piece for each thread, whatever the model's size.
/// </summary>
/// <param name="modelFolder">The checkpoint.</param>
/// <param name="plan">The cut.</param>
/// <param name="folder">Folder of the set; is replaced where it is there.</param>
/// <param name="threads">Threads that read, convert and hash.</param>
internal sealed class ShardSetWriter(string modelFolder, ExecutionPlan plan, string folder, int threads)
{
    /// <summary>Writes the set.</summary>
    /// <param name="progress">Bytes that are written, and all; by any thread, one at a time.</param>
    /// <param name="cancellationToken">Stops; nothing is left.</param>
    /// <exception cref="CheckpointException">The checkpoint cannot be read, or changed meanwhile; nothing is left.</exception>
    /// <exception cref="ShardException">The set cannot be written; nothing is left.</exception>
    public void Write(Action<long, long> progress, CancellationToken cancellationToken)
    {
        var partial = ShardFolder.Partial(folder);
        var setBytes = 0L;
        try
        {
            Remove(partial);
            Directory.CreateDirectory(partial);
            var checkpoint = Checkpoint.Open(modelFolder);
            var spec = ArchitectureCatalog.Describe(checkpoint.Config);
            var tensors = ModelSpecTensors.Locate(spec, checkpoint);
            string[] files = [.. tensors.Values.Select(tensor => tensor.File).Distinct().Order(StringComparer.Ordinal)];
            var before = files.Select(SourceFile.Stamp).ToList();

            ShardLayout[] layouts = [.. plan.Ranks.Select(rank => ShardLayout.Of(spec, plan, rank))];
            setBytes = layouts.Sum(layout => layout.Bytes);
            var ranks = new List<RankShard>();
            var done = 0L;
            foreach (var (rank, layout) in plan.Ranks.Zip(layouts))
            {
                ranks.Add(WriteRank(partial, rank.Rank, layout, tensors, setBytes, part => Report(done + (long)(part * layout.Bytes)), cancellationToken));
                Report(done += layout.Bytes);
            }

            SourceFile[] sources = [.. files.Zip(before, (file, stamp) => Describe(file, stamp, cancellationToken))];
            WriteManifest(new ShardManifest(folder, ContentHash.PieceBytes, sources, ranks), partial);
            cancellationToken.ThrowIfCancellationRequested();
            Remove(folder);
            Directory.Move(partial, folder);
            ShardDisk.FlushFolder(Path.GetDirectoryName(folder)!);
        }
        catch (Exception thrown)
        {
            var e = thrown is AggregateException { InnerExceptions: [var first, ..] } ? first : thrown;
            Remove(partial);
            if (e is IOException or UnauthorizedAccessException)
            {
                throw ShardDisk.Failed(folder, setBytes, e);
            }

            ExceptionDispatchInfo.Throw(e);
        }

        void Report(long bytes)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress(bytes, setBytes);
        }
    }

    private RankShard WriteRank(
        string partial,
        int rank,
        ShardLayout layout,
        IReadOnlyDictionary<string, TensorInfo> tensors,
        long setBytes,
        Action<double> progress,
        CancellationToken cancellationToken)
    {
        var name = ShardFolder.FileName(rank, plan.WorldSize);
        using var file = new ShardFile(Path.Combine(partial, name), layout.Bytes, setBytes);
        file.Write(0, layout.Header);
        new WeightLoader(tensors, file, rank) { Threads = threads }.Load(
            layout.Targets(file.Buffer), told => progress((double)told.BytesDone / told.BytesTotal));
        file.Flush();
        return new RankShard(name, layout.Bytes, ContentHash.Of(layout.Header), Hashed(file, layout, cancellationToken));
    }

    // Of what the file holds, not of what was meant to go there.
    private ShardTensor[] Hashed(ShardFile file, ShardLayout layout, CancellationToken cancellationToken)
    {
        var pieces = layout.Parts.SelectMany(part => part.Pieces(ContentHash.PieceBytes)).ToList();
        var hashes = new UInt128[pieces.Count];
        Parallel.For(
            0,
            pieces.Count,
            new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellationToken },
            () => new byte[ContentHash.PieceBytes],
            (i, _, buffer) =>
            {
                var piece = buffer.AsSpan(0, pieces[i].Bytes);
                file.Read(pieces[i].Offset, piece);
                hashes[i] = ContentHash.Of(piece);
                return buffer;
            },
            _ => { });
        var next = 0;
        return
        [
            .. layout.Parts.Select(part =>
            {
                var count = part.Pieces(ContentHash.PieceBytes).Count();
                var own = hashes[next..(next + count)];
                next += count;
                return new ShardTensor(part.Slice.Name, part.DType, part.Slice.Dim, part.Slice.Ranges, own);
            }),
        ];
    }

    private SourceFile Describe(string path, (long Bytes, DateTime Modified) before, CancellationToken cancellationToken)
    {
        var header = ContentHash.OfHeader(SafetensorsHeader.Read(path));
        var content = ContentHash.OfFile(path, threads, cancellationToken);
        return SourceFile.Stamp(path) == before
            ? new SourceFile(Path.GetFileName(path), before.Bytes, before.Modified, header, content)
            : throw new CheckpointException($"{path}: the file has changed while shards were cut from it: cut them again when it is complete.");
    }

    private static void WriteManifest(ShardManifest manifest, string partial)
    {
        var json = manifest.ToJson();
        using (var file = new ShardFile(Path.Combine(partial, ShardFolder.ManifestName), json.Length, manifest.Bytes))
        {
            file.Write(0, json);
            file.Flush();
        }

        ShardDisk.FlushFolder(partial);
    }

    private static void Remove(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }
}
