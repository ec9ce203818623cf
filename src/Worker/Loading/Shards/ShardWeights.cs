using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>
/// A rank's own file of a shard set as a source of weights: whole tensors, in order, each piece checked by its hash by the thread that
/// has read it. Immutable, thread-safe.
/// </summary>
internal sealed class ShardWeights : IChunkCheck
{
    private const string WayOut =
        "make them anew with 'coordinator shard --force', or read the checkpoint itself with --shards off.";

    private readonly Dictionary<long, (int Bytes, UInt128 Hash)> _pieces;

    private ShardWeights(
        IReadOnlyDictionary<string, TensorInfo> tensors, int pieceBytes, Dictionary<long, (int Bytes, UInt128 Hash)> pieces)
    {
        Tensors = tensors;
        PieceBytes = pieceBytes;
        _pieces = pieces;
    }

    /// <summary>Where the rank's parts lie, by the model's names; their shapes are those of the parts.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Bytes that have to be read as one, so that they can be checked: the loader's chunk.</summary>
    public int PieceBytes { get; }

    /// <summary>Opens a rank's file of a set: header and size are checked, no weight is read.</summary>
    /// <param name="folder">The set.</param>
    /// <param name="plan">The plan that is to be run.</param>
    /// <param name="rank">The rank.</param>
    /// <exception cref="CheckpointException">It is damaged, or not the set of this plan.</exception>
    public static ShardWeights Open(string folder, ExecutionPlan plan, int rank)
    {
        var manifest = ShardManifest.Read(folder);
        if (!manifest.IsCutBy(plan))
        {
            throw new CheckpointException($"{folder}: these shards are cut by another plan than the one to run: {WayOut}");
        }

        var shard = manifest.Ranks[rank];
        var path = Path.Combine(manifest.Folder, shard.File);
        var (bytes, _) = SourceFile.Stamp(path);
        if (bytes != shard.Bytes)
        {
            throw new CheckpointException($"{path}: rank {rank}'s shard has {bytes} bytes but was written with {shard.Bytes}: {WayOut}");
        }

        var header = ReadHeader(path, rank);
        if (ContentHash.OfHeader(header) != shard.Header)
        {
            throw new CheckpointException($"{path}: the header of rank {rank}'s shard is not the one that was written: {WayOut}");
        }

        return new ShardWeights(header.Tensors, manifest.PieceBytes, Pieces(header, shard, manifest.PieceBytes));
    }

    /// <summary>The same destination, filled from a tensor that holds nothing but the part.</summary>
    public static WeightTarget Whole(WeightTarget target) => target with
    {
        Slice = target.Slice with { Dim = null, Ranges = [] },
        FullShape = LocalShape.Of(target.Slice, target.FullShape),
    };

    public void Check(in ReadChunk chunk, ReadOnlySpan<byte> bytes)
    {
        if (!_pieces.TryGetValue(chunk.FileOffset, out var piece)
            || piece.Bytes != bytes.Length
            || ContentHash.Of(bytes) != piece.Hash)
        {
            throw new CheckpointException(
                $"{chunk.Source.File}: tensor \"{chunk.Source.Name}\": bytes {chunk.FileOffset} to {chunk.FileOffset + bytes.Length} are " +
                $"not those that were written, by their hash: the file or its {ShardFolder.ManifestName} is damaged: {WayOut}");
        }
    }

    private static SafetensorsHeader ReadHeader(string path, int rank)
    {
        try
        {
            return SafetensorsHeader.Read(path);
        }
        catch (CheckpointException e)
        {
            throw new CheckpointException($"{e.Message.TrimEnd('.')}: rank {rank}'s shard is damaged: {WayOut}", e);
        }
    }

    private static Dictionary<long, (int Bytes, UInt128 Hash)> Pieces(SafetensorsHeader header, RankShard shard, int pieceBytes)
    {
        var pieces = new Dictionary<long, (int Bytes, UInt128 Hash)>();
        foreach (var tensor in shard.Tensors)
        {
            if (!header.Tensors.TryGetValue(tensor.Name, out var there) || there.DType != tensor.DType || there.Shape.Count is not (1 or 2))
            {
                throw NotListed(header, tensor);
            }

            var (rows, columns) = there.Shape.Count == 1 ? (1, (int)there.Shape[0]) : ((int)there.Shape[0], (int)there.Shape[1]);
            var spans = ShardPieces.Of(rows, columns, tensor.DType.SizeInBytes(), pieceBytes).ToList();
            if (spans.Count != tensor.Hashes.Count)
            {
                throw NotListed(header, tensor);
            }

            foreach (var (span, hash) in spans.Zip(tensor.Hashes))
            {
                pieces.Add(there.Offset + span.Offset, (span.Bytes, hash));
            }
        }

        return pieces;
    }

    private static CheckpointException NotListed(SafetensorsHeader header, ShardTensor tensor) => new(
        $"{header.Path}: tensor \"{tensor.Name}\" is not as {ShardFolder.ManifestName} says: {WayOut}");
}
