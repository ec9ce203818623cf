namespace TensorParallel.Worker.Devices;

/// <summary>
/// Work cut into independent parts; a struct, so that handing it to <see cref="CpuThreads"/> allocates nothing.
/// </summary>
internal interface ICpuWork
{
    /// <summary>Does one part. Parts run at once and in any order.</summary>
    /// <param name="part">0 … parts − 1.</param>
    /// <param name="thread">0 … Count − 1: no two parts run at once with the same number; scratch may hang on
    /// it.</param>
    void Run(int part, int thread);
}
