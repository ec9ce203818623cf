using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.TestKit;

/// <summary>One tensor for <see cref="SafetensorsWriter"/>.</summary>
/// <param name="Name">As it stands in the header.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes, slowest first.</param>
/// <param name="WriteData">Writes exactly the tensor's bytes; called once, when its turn has come.</param>
public sealed record SafetensorsEntry(string Name, DType DType, long[] Shape, Action<Stream> WriteData)
{
    /// <summary>A tensor whose bytes lie in memory.</summary>
    public SafetensorsEntry(string name, DType dtype, long[] shape, byte[] data)
        : this(name, dtype, shape, stream => stream.Write(data))
    {
    }

    /// <summary>Bytes of the data: [3, 5] of BF16 has 30.</summary>
    public long Bytes => Shape.Aggregate(1L, (product, size) => checked(product * size)) * DType.SizeInBits() / 8;
}
