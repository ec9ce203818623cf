using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>NCCL: collectives between GPUs.</summary>
internal static unsafe partial class Nccl
{
    internal const int ncclSuccess = 0;
    internal const int ncclInProgress = 7;
    internal const int ncclInt8 = 0;
    internal const int ncclFloat16 = 6;
    internal const int ncclFloat32 = 7;
    internal const int ncclBfloat16 = 9;
    internal const int ncclSum = 0;

    private const string Library = NativeLibraries.Nccl;

    static Nccl() => NativeLibraries.UseResolver();

    /// <summary>Why NCCL cannot be used, one sentence, or null.</summary>
    internal static string? UnavailableReason => NativeLibraries.UnavailableReason(Library);

    /// <summary>Throws a <see cref="NativeException"/> that quotes the call unless the status is success.</summary>
    internal static void Check(int status, [CallerArgumentExpression(nameof(status))] string? call = null)
    {
        if (status is not ncclSuccess)
        {
            var last = Marshal.PtrToStringUTF8((nint)ncclGetLastError(0));
            throw new NativeException(
                $"{call} failed with {Marshal.PtrToStringUTF8((nint)ncclGetErrorString(status))} ({status})" +
                (string.IsNullOrWhiteSpace(last) ? "." : $": {last.ReplaceLineEndings(" ").Trim()}."),
                status);
        }
    }

    [LibraryImport(Library)]
    internal static partial byte* ncclGetErrorString(int status);

    [LibraryImport(Library)]
    internal static partial byte* ncclGetLastError(nint communicator);

    [LibraryImport(Library)]
    internal static partial int ncclGetVersion(int* version);

    [LibraryImport(Library)]
    internal static partial int ncclGetUniqueId(ncclUniqueId* id);

    [LibraryImport(Library)]
    internal static partial int ncclCommInitRank(nint* communicator, int ranks, ncclUniqueId id, int rank);

    [LibraryImport(Library)]
    internal static partial int ncclCommGetAsyncError(nint communicator, int* status);

    [LibraryImport(Library)]
    internal static partial int ncclCommAbort(nint communicator);

    [LibraryImport(Library)]
    internal static partial int ncclCommDestroy(nint communicator);

    [LibraryImport(Library)]
    internal static partial int ncclAllReduce(
        void* source, void* target, nuint count, int type, int operation, nint communicator, nint stream);

    [LibraryImport(Library)]
    internal static partial int ncclAllGather(void* source, void* target, nuint count, int type, nint communicator, nint stream);

    [LibraryImport(Library)]
    internal static partial int ncclBroadcast(
        void* source, void* target, nuint count, int type, int root, nint communicator, nint stream);

    [LibraryImport(Library)]
    internal static partial int ncclSend(void* source, nuint count, int type, int peer, nint communicator, nint stream);

    [LibraryImport(Library)]
    internal static partial int ncclRecv(void* target, nuint count, int type, int peer, nint communicator, nint stream);

    [LibraryImport(Library)]
    internal static partial int ncclGroupStart();

    [LibraryImport(Library)]
    internal static partial int ncclGroupEnd();

    /// <summary>128 opaque bytes that rank 0 makes and every rank needs.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    internal struct ncclUniqueId
    {
        internal fixed byte data[128];
    }
}
