using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>
/// Random collective calls that every rank derives from one seed. Each rank also computes, without the collective, what
/// every call must give, from the inputs of all ranks: they come from (seed, call, rank).
/// </summary>
/// <param name="collective">The group.</param>
/// <param name="device">Where tensors lie.</param>
/// <param name="seed">Of everything random.</param>
/// <param name="maxElements">Largest tensor.</param>
/// <param name="sumsInRankOrder">Sums must be exact; else they may be rounded in another order.</param>
internal sealed class CollectiveScript(
    ICollective collective, DeviceTensors device, int seed, int maxElements, bool sumsInRankOrder = true)
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>
    /// Runs the calls, throws at the first wrong result, and returns a hash of the results that must be the same on all
    /// ranks.
    /// </summary>
    public string Run(int calls)
    {
        var shared = new Random(seed);
        for (var call = 0; call < calls; call++)
        {
            // Squared: mostly small tensors, now and then one of many chunks.
            var columns = 1 + (int)(Math.Pow(shared.NextDouble(), 3) * maxElements);
            var rows = shared.Next(0, 2) == 0 ? 1 : 1 + (shared.Next(0, maxElements) / columns);
            var gap = shared.Next(0, 2) * shared.Next(1, 9);
            switch (shared.Next(0, 10))
            {
                case < 5:
                    AllReduce(call, rows, columns, gap);
                    break;
                case < 7:
                    AllGather(call, shared, Math.Min(rows, 50), columns, gap);
                    break;
                case 7:
                    Broadcast(call, rows, columns, gap, shared.Next(0, collective.Size));
                    break;
                case 8:
                    PassAround(call, rows, columns, gap, 1 + shared.Next(0, Math.Max(1, collective.Size - 1)));
                    break;
                default:
                    collective.Barrier();
                    break;
            }
        }

        return Convert.ToHexString(_hash.GetHashAndReset());
    }

    private void AllReduce(int call, int rows, int columns, int gap)
    {
        var x = device.Tensor(DType.F32, rows, columns, gap);
        device.Fill(x, MemoryMarshal.AsBytes<float>(Input(call, collective.Rank, rows * columns)));
        collective.AllReduceSum(x);
        var expected = Input(call, 0, rows * columns);
        var sizes = expected.Select(MathF.Abs).ToArray();
        for (var rank = 1; rank < collective.Size; rank++)
        {
            var term = Input(call, rank, rows * columns);
            for (var i = 0; i < expected.Length; i++)
            {
                expected[i] += term[i];
                sizes[i] += MathF.Abs(term[i]);
            }
        }

        var what = $"call {call}: AllReduceSum [{rows}, {columns}] gap {gap}";
        if (!sumsInRankOrder)
        {
            TakeWhereRounded(MemoryMarshal.Cast<byte, float>(device.Read(x).Bytes), expected, sizes);
        }

        Check(what, x, MemoryMarshal.AsBytes<float>(expected), true);
    }

    /// <summary>Makes what differs only by rounding the expected value; ranks' results are still compared with each other.</summary>
    private static void TakeWhereRounded(ReadOnlySpan<float> actual, float[] expected, float[] sizes)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            if (MathF.Abs(actual[i] - expected[i]) <= 1e-6f * sizes[i])
            {
                expected[i] = actual[i];
            }
        }
    }

    private void AllGather(int call, Random shared, int rows, int columns, int gap)
    {
        var dtype = shared.Next(0, 2) == 0 ? DType.F32 : DType.BF16;
        var widths = Enumerable.Range(0, collective.Size)
            .Select(_ => shared.Next(0, 3) == 0 ? 0 : shared.Next(0, columns + 1)).ToArray();
        var part = device.Tensor(dtype, rows, widths[collective.Rank], gap);
        device.Fill(part, RawInput(call, collective.Rank, rows * widths[collective.Rank] * dtype.SizeInBytes()));
        var whole = device.Tensor(dtype, rows, widths.Sum(), gap);
        collective.AllGatherColumns(part, whole, widths);

        var parts = widths.Select((w, rank) => RawInput(call, rank, rows * w * dtype.SizeInBytes())).ToArray();
        var expected = new List<byte>();
        for (var row = 0; row < rows; row++)
        {
            for (var rank = 0; rank < collective.Size; rank++)
            {
                var width = widths[rank] * dtype.SizeInBytes();
                expected.AddRange(parts[rank].AsSpan(row * width, width));
            }
        }

        var what = $"call {call}: AllGatherColumns {rows} x [{string.Join(", ", widths)}] {dtype} gap {gap}";
        Check(what, whole, CollectionsMarshal.AsSpan(expected), true);
    }

    private void Broadcast(int call, int rows, int columns, int gap, int root)
    {
        var x = device.Tensor(DType.F16, rows, columns, gap);
        device.Fill(x, RawInput(call, collective.Rank, rows * columns * 2));
        collective.Broadcast(x, root);
        var what = $"call {call}: Broadcast [{rows}, {columns}] from {root}";
        Check(what, x, RawInput(call, root, rows * columns * 2), true);
    }

    /// <summary>
    /// Every rank sends to the one <paramref name="distance"/> ahead; even ranks send first, odd ones receive first.
    /// </summary>
    private void PassAround(int call, int rows, int columns, int gap, int distance)
    {
        var size = collective.Size;
        if (size == 1)
        {
            return;
        }

        var to = (collective.Rank + distance) % size;
        var from = (collective.Rank + size - distance) % size;
        var sent = device.Tensor(DType.I32, rows, columns, gap);
        device.Fill(sent, RawInput(call, collective.Rank, rows * columns * 4));
        var received = device.Tensor(DType.I32, rows, columns);

        // Long messages wait for their receiver, so one rank of each cycle has to receive first: rank 0 of the cycle's
        // ranks.
        if (collective.Rank < Gcd(distance, size))
        {
            collective.Receive(received, from);
            collective.Send(sent, to);
        }
        else
        {
            collective.Send(sent, to);
            collective.Receive(received, from);
        }

        var what = $"call {call}: Send/Receive [{rows}, {columns}]";
        Check(what, received, RawInput(call, from, rows * columns * 4), false);
        sent.Buffer.Dispose();
    }

    private void Check(string what, Tensor actual, ReadOnlySpan<byte> expected, bool isSameOnAllRanks)
    {
        var (bytes, gapsAreUntouched) = device.Read(actual);
        var difference = bytes.AsSpan().CommonPrefixLength(expected);
        if (bytes.Length != expected.Length || difference != bytes.Length)
        {
            throw new InvalidOperationException(
                $"Seed {seed}, rank {collective.Rank} of {collective.Size}, {what}: byte {difference} of "
                + $"{expected.Length} is wrong.");
        }

        if (!gapsAreUntouched)
        {
            throw new InvalidOperationException(
                $"Seed {seed}, rank {collective.Rank}, {what}: bytes between the rows were written.");
        }

        if (isSameOnAllRanks)
        {
            _hash.AppendData(bytes);
        }

        actual.Buffer.Dispose();
    }

    private float[] Input(int call, int rank, int count)
    {
        var random = new Random(HashCode(call, rank));
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            // Wide exponents: another order of summation would give other bits.
            values[i] = (random.NextSingle() - 0.5f) * MathF.Pow(10, random.Next(-4, 5));
        }

        return values;
    }

    private byte[] RawInput(int call, int rank, int bytes)
    {
        var values = new byte[bytes];
        new Random(HashCode(call, rank)).NextBytes(values);
        return values;
    }

    /// <summary>The same in every process, unlike <see cref="System.HashCode"/>.</summary>
    private int HashCode(int call, int rank) => unchecked((((seed * 31) + call) * 1_000_003) + rank) & int.MaxValue;

    private static int Gcd(int a, int b) => b == 0 ? a : Gcd(b, a % b);
}
