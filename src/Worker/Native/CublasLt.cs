using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>cuBLASLt: large matrix products. Shapes are column-major in its own words.</summary>
internal static unsafe partial class CublasLt
{
    internal const int CUBLAS_STATUS_SUCCESS = 0;
    internal const int CUBLAS_STATUS_NOT_SUPPORTED = 15;
    internal const int CUDA_R_32F = 0;
    internal const int CUDA_R_16F = 2;
    internal const int CUDA_R_16BF = 14;
    internal const int CUBLAS_COMPUTE_32F = 68;
    internal const int CUBLAS_OP_T = 1;
    internal const int CUBLASLT_MATMUL_DESC_TRANSA = 3;
    internal const int CUBLASLT_MATMUL_DESC_EPILOGUE = 7;
    internal const int CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8;
    internal const int CUBLASLT_EPILOGUE_BIAS = 4;
    internal const int CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1;
    internal const int CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3;
    internal const uint CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2;
    internal const int CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5;
    internal const int CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6;
    internal const int CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7;
    internal const int CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8;

    private const string Library = NativeLibraries.CublasLt;

    static CublasLt() => NativeLibraries.UseResolver();

    /// <summary>Why large products cannot use it, one sentence, or null.</summary>
    internal static string? UnavailableReason => NativeLibraries.UnavailableReason(Library);

    /// <summary>Throws a <see cref="NativeException"/> that quotes the call unless the status is success.</summary>
    internal static void Check(int status, [CallerArgumentExpression(nameof(status))] string? call = null)
    {
        if (status != CUBLAS_STATUS_SUCCESS)
        {
            throw Failure(status, call);
        }
    }

    /// <summary>The same with words of one's own for the call.</summary>
    internal static void Check(int status, [InterpolatedStringHandlerArgument(nameof(status))] ref CallText call)
    {
        if (status != CUBLAS_STATUS_SUCCESS)
        {
            throw Failure(status, call.Take());
        }
    }

    private static NativeException Failure(int status, string? call) =>
        new($"{call} failed with {Marshal.PtrToStringUTF8((nint)cublasLtGetStatusName(status))} ({status}).", status);

    [LibraryImport(Library)]
    internal static partial byte* cublasLtGetStatusName(int status);

    [LibraryImport(Library)]
    internal static partial int cublasLtCreate(nint* handle);

    [LibraryImport(Library)]
    internal static partial int cublasLtDestroy(nint handle);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulDescCreate(nint* descriptor, int computeType, int scaleType);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulDescDestroy(nint descriptor);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulDescSetAttribute(nint descriptor, int attribute, void* value, nuint bytes);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatrixLayoutCreate(nint* layout, int type, ulong rows, ulong columns, long leading);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatrixLayoutDestroy(nint layout);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulPreferenceCreate(nint* preference);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulPreferenceDestroy(nint preference);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulPreferenceSetAttribute(nint preference, int attribute, void* value, nuint bytes);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulAlgoGetHeuristic(
        nint handle, nint operation, nint a, nint b, nint c, nint d, nint preference, int wanted,
        cublasLtMatmulHeuristicResult_t* results, int* found);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmulAlgoCheck(
        nint handle, nint operation, nint a, nint b, nint c, nint d, cublasLtMatmulAlgo_t* algorithm,
        cublasLtMatmulHeuristicResult_t* result);

    [LibraryImport(Library)]
    internal static partial int cublasLtMatmul(
        nint handle, nint operation, void* alpha, void* a, nint aLayout, void* b, nint bLayout, void* beta, void* c, nint cLayout,
        void* d, nint dLayout, cublasLtMatmulAlgo_t* algorithm, void* workspace, nuint workspaceBytes, nint stream);

    /// <summary>64 opaque bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct cublasLtMatmulAlgo_t
    {
        internal fixed ulong data[8];
    }

    /// <summary>One suggestion of the heuristic.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct cublasLtMatmulHeuristicResult_t
    {
        internal cublasLtMatmulAlgo_t algo;
        internal nuint workspaceSize;
        internal int state;
        internal float wavesCount;
        internal fixed int reserved[4];
    }
}
