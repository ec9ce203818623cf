using System.Runtime.CompilerServices;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>IEEE single.</summary>
internal readonly unsafe struct F32Element : IElement
{
    public static int Bytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 4;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load<TV>(byte* source)
        where TV : struct, ILanes<TV> => TV.Load((float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scalar(byte* source) => *(float*)source;
}
