using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>IEEE half.</summary>
internal readonly unsafe struct F16Element : IElement
{
    public static int Bytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load<TV>(byte* source)
        where TV : struct, ILanes<TV> => TV.LoadF16((ushort*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scalar(byte* source) => (float)*(Half*)source;
}
