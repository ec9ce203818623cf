using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Loading;
using TensorParallel.Worker.Quantization;
using TensorParallel.Worker.Tests.Collectives;

namespace TensorParallel.Worker.Tests.Loading;

/// <summary>A file of random tensors, their bytes in memory, and naive slicing of them.</summary>
internal sealed class LoaderFixture : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, byte[]> _data = [];

    public LoaderFixture(int seed, params (string Name, DType DType, int[] Shape)[] tensors)
    {
        var random = new Random(seed);
        var entries = new List<SafetensorsEntry>();
        foreach (var (name, dtype, shape) in tensors)
        {
            var bytes = new byte[shape.Aggregate(dtype.SizeInBytes(), (product, size) => product * size)];
            random.NextBytes(bytes);
            _data.Add(name, bytes);
            entries.Add(new SafetensorsEntry(name, dtype, [.. shape.Select(s => (long)s)], bytes));
        }

        File = _folder.File("weights.safetensors");
        SafetensorsWriter.Write(File, entries);
        Tensors = SafetensorsHeader.Read(File).Tensors;
    }

    public string File { get; }

    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    public HostDevice Device { get; } = new();

    public WeightLoader Loader(int chunkBytes = WeightLoader.DefaultChunkBytes) =>
        new(Tensors, Device, rank: 3) { ChunkBytes = chunkBytes };

    /// <summary>A target for a part of a tensor, in a destination with or without gaps between its rows.</summary>
    public WeightTarget Target(string name, int? dim, DType dtype, int gap, params IndexRange[] ranges)
    {
        int[] shape = [.. Tensors[name].Shape.Select(s => (int)s)];
        var (rows, columns) = HeldSize(shape, dim, ranges);
        var slice = new TensorSlice(name, "test", dim, ranges, (long)rows * columns * dtype.SizeInBytes());
        return new WeightTarget(slice, shape, Device.Tensor(dtype, rows, columns, gap));
    }

    /// <summary>The held elements, picked one by one, in their file dtype.</summary>
    public byte[] Naive(WeightTarget target)
    {
        var shape = target.FullShape;
        var (rows, columns) = shape.Count == 1 ? (1, shape[0]) : (shape[0], shape[1]);
        var cutsColumns = target.Slice.Dim == 1 || (target.Slice.Dim == 0 && target.FullShape.Count == 1);
        var element = Tensors[target.Slice.Name].DType.SizeInBytes();
        var picked = new List<byte>();
        int[] keptRows = [.. Kept(rows, target.Slice.Dim is not null && !cutsColumns)];
        int[] keptColumns = [.. Kept(columns, cutsColumns)];
        foreach (var row in keptRows)
        {
            foreach (var column in keptColumns)
            {
                picked.AddRange(_data[target.Slice.Name].AsSpan(((row * columns) + column) * element, element));
            }
        }

        return [.. picked];

        IEnumerable<int> Kept(int size, bool isCut) => isCut
            ? target.Slice.Ranges.SelectMany(r => Enumerable.Range(r.Start, r.Length))
            : Enumerable.Range(0, size);
    }

    public void Dispose()
    {
        Device.Dispose();
        _folder.Dispose();
    }

    private static (int Rows, int Columns) HeldSize(int[] shape, int? dim, IndexRange[] ranges)
    {
        var held = ranges.Sum(r => r.Length);
        return (shape.Length, dim) switch
        {
            (1, null) => (1, shape[0]),
            (1, _) => (1, held),
            (_, null) => (shape[0], shape[1]),
            (_, 0) => (held, shape[1]),
            _ => (shape[0], held),
        };
    }
}
