using System.Runtime.InteropServices;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Cosines and sines of the rotary angles of every position.</summary>
internal static class RopeTable
{
    /// <summary>
    /// Allocates and fills F32 [positions, RotaryDim]: the first half of a row cosines, the second sines. The angle is rounded to float
    /// before its cosine is taken, as transformers does: at position 2,000 that moves it by up to 6e-5, more than the tolerance.
    /// The caller disposes the buffer.
    /// </summary>
    public static Tensor Create(RopeSpec rope, int positions, IDevice device)
    {
        var table = device.AllocateTensor(DType.F32, positions, rope.RotaryDim, MemoryPurpose.Workspace);
        var row = new float[rope.RotaryDim];
        for (var position = 0; position < positions; position++)
        {
            FillRow(rope, position, row);
            device.CopyToDevice(MemoryMarshal.AsBytes<float>(row), table.Buffer, table.RowsAt(position, 1).OffsetBytes);
        }

        return table;
    }

    private static void FillRow(RopeSpec rope, int position, Span<float> row)
    {
        var pairs = rope.RotaryDim / 2;
        for (var i = 0; i < pairs; i++)
        {
            var angle = position * rope.InverseFrequencies[i];
            row[i] = MathF.Cos(angle) * rope.AttentionFactor;
            row[pairs + i] = MathF.Sin(angle) * rope.AttentionFactor;
        }
    }
}
