namespace TensorParallel.Worker.Devices;

/// <summary>
/// One variant of one kernel: an embedded source file, its entry point and the defines it is compiled with. Equal by value; looked for at
/// every launch, so its hash is reckoned once.
/// </summary>
/// <param name="File">Name of the embedded source, for example <c>gemv.cu</c>.</param>
/// <param name="Entry">Name of the <c>extern "C"</c> function.</param>
/// <param name="Defines">Space-separated, for example <c>T=bf16 HEAD_DIM=128</c>.</param>
/// <param name="Use">Tells apart uses of the same machine code that each want a function with attributes of its own; mostly empty.</param>
internal sealed record CudaKernel(string File, string Entry, string Defines, string Use = "")
{
    private readonly int _hash = HashCode.Combine(File, Entry, Defines, Use);

    public bool Equals(CudaKernel? other) => ReferenceEquals(this, other)
        || (other is not null && _hash == other._hash
            && File == other.File && Entry == other.Entry && Defines == other.Defines && Use == other.Use);

    public override int GetHashCode() => _hash;

    public override string ToString() => Use.Length == 0 ? $"{Entry} [{Defines}]" : $"{Entry} [{Defines}] {Use}";
}
