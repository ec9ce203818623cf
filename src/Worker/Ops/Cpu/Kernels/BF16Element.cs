using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>bfloat16.</summary>
internal readonly unsafe struct BF16Element : IElement
{
    public static int Bytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load<TV>(byte* source)
        where TV : struct, ILanes<TV> => TV.LoadBF16((ushort*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scalar(byte* source) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)source << 16);
}
