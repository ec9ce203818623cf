namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>A dtype that kernels read as floats; implemented by empty structs that only choose code.</summary>
internal unsafe interface IElement
{
    /// <summary>Bytes of one element.</summary>
    static abstract int Bytes { get; }

    /// <summary>Reads one register full of elements.</summary>
    static abstract TV Load<TV>(byte* source)
        where TV : struct, ILanes<TV>;

    /// <summary>Reads one element.</summary>
    static abstract float Scalar(byte* source);
}
