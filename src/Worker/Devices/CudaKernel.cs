namespace TensorParallel.Worker.Devices;

/// <summary>
/// One variant of one kernel: an embedded source file, its entry point and the defines it is compiled with. Equal by value; looked for at
/// every launch, so its hash is reckoned once. Immutable.
/// </summary>
/// <param name="file">See <see cref="File"/>.</param>
/// <param name="entry">See <see cref="Entry"/>.</param>
/// <param name="defines">See <see cref="Defines"/>.</param>
/// <param name="use">See <see cref="Use"/>.</param>
internal sealed class CudaKernel(string file, string entry, string defines, string use = "") : IEquatable<CudaKernel>
{
    private readonly int _hash = HashCode.Combine(file, entry, defines, use);

    /// <summary>Name of the embedded source, for example <c>gemv.cu</c>.</summary>
    public string File { get; } = file;

    /// <summary>Name of the <c>extern "C"</c> function.</summary>
    public string Entry { get; } = entry;

    /// <summary>Space-separated, for example <c>T=bf16 HEAD_DIM=128</c>.</summary>
    public string Defines { get; } = defines;

    /// <summary>Tells apart uses of the same machine code that each want a function with attributes of its own; mostly empty.</summary>
    public string Use { get; } = use;

    public bool Equals(CudaKernel? other) => ReferenceEquals(this, other)
        || (other is not null && _hash == other._hash
            && File == other.File && Entry == other.Entry && Defines == other.Defines && Use == other.Use);

    public override bool Equals(object? obj) => Equals(obj as CudaKernel);

    public override int GetHashCode() => _hash;

    public override string ToString() => Use.Length == 0 ? $"{Entry} [{Defines}]" : $"{Entry} [{Defines}] {Use}";
}
