using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.TestKit;

/// <summary>
/// Streams normally distributed weights at about the speed of a disk. A value is one of 65,536 normal samples, scaled
/// and rounded once per tensor, picked by 16 bits of a counter-based generator: one table look-up an element instead of
/// a logarithm and a cosine. Single-threaded, holds 1 MB.
/// </summary>
internal sealed class NormalTensorWriter(DType dtype, ulong seed)
{
    private const int TableSize = 1 << 16;
    private const int BlockBytes = 1 << 18;

    private static readonly double[] s_samples = Samples();

    private readonly byte[] _block = new byte[BlockBytes];

    /// <summary>Writes <paramref name="count"/> elements of mean + deviation * N(0, 1).</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="name">Makes the stream of bits this tensor's own, whatever is written before it.</param>
    /// <param name="count">Elements.</param>
    /// <param name="mean">Mean, such as 1 for a norm's weight.</param>
    /// <param name="deviation">Standard deviation.</param>
    public void Write(Stream stream, string name, long count, double mean, double deviation)
    {
        var counter = TensorSeed(name);
        var elementBytes = dtype.SizeInBytes();
        var values = s_samples.Select(sample => mean + (deviation * sample));
        var words = dtype switch
        {
            DType.F32 => values.Select(value => BitConverter.SingleToUInt32Bits((float)value)).ToArray(),
            DType.BF16 => values.Select(value => (uint)ToBF16((float)value)).ToArray(),
            DType.F16 => values.Select(value => (uint)BitConverter.HalfToUInt16Bits((Half)value)).ToArray(),
            _ => throw new NotSupportedException($"No random weights of {dtype}."),
        };
        for (var rest = count * elementBytes; rest > 0;)
        {
            var bytes = (int)Math.Min(rest, BlockBytes);
            counter = elementBytes == 4 ? FillSingles(words, counter) : FillHalves(words, counter);
            stream.Write(_block, 0, bytes);
            rest -= bytes;
        }
    }

    private ulong FillSingles(uint[] words, ulong counter)
    {
        var block = MemoryMarshal.Cast<byte, uint>(_block.AsSpan());
        for (var i = 0; i + 4 <= block.Length; i += 4)
        {
            var bits = Mix(counter++);
            block[i] = words[(ushort)bits];
            block[i + 1] = words[(ushort)(bits >> 16)];
            block[i + 2] = words[(ushort)(bits >> 32)];
            block[i + 3] = words[(ushort)(bits >> 48)];
        }

        return counter;
    }

    private ulong FillHalves(uint[] words, ulong counter)
    {
        var block = MemoryMarshal.Cast<byte, ulong>(_block.AsSpan());
        for (var i = 0; i < block.Length; i++)
        {
            var bits = Mix(counter++);
            block[i] = words[(ushort)bits]
                | ((ulong)words[(ushort)(bits >> 16)] << 16)
                | ((ulong)words[(ushort)(bits >> 32)] << 32)
                | ((ulong)words[(ushort)(bits >> 48)] << 48);
        }

        return counter;
    }

    // FNV-1a over the name, so that moving a tensor to another shard leaves its weights as they are.
    private ulong TensorSeed(string name)
    {
        var hash = 0xcbf29ce484222325UL;
        foreach (var c in name)
        {
            hash = (hash ^ c) * 0x100000001b3UL;
        }

        return Mix(hash ^ Mix(seed));
    }

    // The finaliser of SplitMix64: neighbouring counters give unrelated words.
    private static ulong Mix(ulong x)
    {
        x += 0x9e3779b97f4a7c15UL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9UL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebUL;
        return x ^ (x >> 31);
    }

    // Round to nearest, ties to even: 1.00390625 (0x3F808000) lies between 0x3F80 and 0x3F81 and becomes 0x3F80.
    private static ushort ToBF16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    // Box-Muller. Fixed seed: the table is part of what a checkpoint's seed means.
    private static double[] Samples()
    {
        var samples = new double[TableSize];
        for (var i = 0; i < TableSize; i += 2)
        {
            var u = ((Mix((ulong)i) >> 11) + 1) * Math.Pow(2, -53);
            var v = (Mix((ulong)i + 1) >> 11) * Math.Pow(2, -53);
            var radius = Math.Sqrt(-2 * Math.Log(u));
            samples[i] = radius * Math.Cos(2 * Math.PI * v);
            samples[i + 1] = radius * Math.Sin(2 * Math.PI * v);
        }

        return samples;
    }
}
