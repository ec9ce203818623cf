using System.Numerics.Tensors;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// Tokens of one row whose logits are known, to be sorted best first: larger logit, then lower id. A token is one
/// 64-bit key whose rising order is that order, since sorting plain integers is several times faster than sorting by a
/// comparison. The arrays are kept for the next row.
/// </summary>
internal sealed class KnownTokens
{
    private const int ChunkTokens = 1024;
    private ulong[] _keys = new ulong[ChunkTokens];
    private float[] _values = new float[ChunkTokens];

    /// <summary>Number of tokens.</summary>
    public int Count { get; private set; }

    /// <summary>Logits of the tokens, after <see cref="SortBestFirst"/>.</summary>
    public ReadOnlySpan<float> Values => _values.AsSpan(0, Count);

    /// <summary>Forgets all tokens.</summary>
    public void Clear() => Count = 0;

    /// <summary>Id of a token.</summary>
    public int Id(int index) => (int)(uint)_keys[index];

    /// <summary>Adds one.</summary>
    public void Add(float logit, int id)
    {
        if (Count == _keys.Length)
        {
            Array.Resize(ref _keys, 2 * Count);
        }

        // Adding 0 makes −0 to +0, which is no worse. Flipping all bits of negative floats, and the sign of the others,
        // orders their bits as integers; the complement puts the largest first.
        var bits = BitConverter.SingleToUInt32Bits(logit + 0f);
        var order = (bits & 0x8000_0000) != 0 ? ~bits : bits | 0x8000_0000;
        _keys[Count++] = ((ulong)~order << 32) | (uint)id;
    }

    /// <summary>Sorts.</summary>
    public void SortBestFirst()
    {
        _keys.AsSpan(0, Count).Sort();
        _values = _values.Length < Count ? new float[_keys.Length] : _values;
        for (var i = 0; i < Count; i++)
        {
            _values[i] = Logit(_keys[i]);
        }
    }

    /// <summary>
    /// Sum of the weights exp((x − best) / temperature) of all tokens, in the order of their ids: what
    /// <see cref="TotalWeight"/> gives for the row they come from when only tokens of weight 0 are missing. Leaves the
    /// tokens unsorted.
    /// </summary>
    public double TotalWeightOfAll(float best, float temperature)
    {
        var keys = _keys.AsSpan(0, Count);
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = ulong.RotateLeft(keys[i], 32);
        }

        keys.Sort();
        Span<float> logits = Count <= ChunkTokens ? stackalloc float[Count] : new float[Count];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = ulong.RotateLeft(keys[i], 32);
            logits[i] = Logit(keys[i]);
        }

        return TotalWeight(logits, best, temperature);
    }

    /// <summary>Sum of the weights exp((x − best) / temperature) of a row, one after the other, in doubles.</summary>
    public static double TotalWeight(ReadOnlySpan<float> logits, float best, float temperature)
    {
        Span<double> weights = stackalloc double[ChunkTokens];
        double total = 0;
        for (var start = 0; start < logits.Length; start += ChunkTokens)
        {
            // Always a whole chunk, so that a weight does not depend on where in the row its token stands: a row's tail
            // would take another path through the vectorised exponential.
            var part = logits[start..Math.Min(start + ChunkTokens, logits.Length)];
            weights[part.Length..].Clear();
            TensorPrimitives.ConvertChecked<float, double>(part, weights);
            TensorPrimitives.Subtract(weights, best, weights);
            TensorPrimitives.Divide(weights, temperature, weights);
            TensorPrimitives.Exp<double>(weights, weights);
            foreach (var weight in weights[..part.Length])
            {
                total += weight;
            }
        }

        return total;
    }

    private static float Logit(ulong key)
    {
        var order = ~(uint)(key >> 32);
        return BitConverter.UInt32BitsToSingle((order & 0x8000_0000) != 0 ? order & 0x7FFF_FFFF : ~order);
    }
}
