using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

internal static partial class Libc
{
    /// <summary>
    /// Advice to back a range with 2 MiB pages: a 2 GB weight then needs 1 024 address translations, not 524 288.
    /// </summary>
    public const int MADV_HUGEPAGE = 14;

    /// <summary>Gives the kernel advice about a page-aligned range; −1 where it does not want it.</summary>
    [LibraryImport("libc")]
    public static partial int madvise(nint address, nuint length, int advice);
}
